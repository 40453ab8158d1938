"""One partition that a member holds by lease, and how far it is there. Nothing here does I/O."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from eventstore.events import Position
from eventstore.groups.hold import Hold
from eventstore.groups.lane import Lane
from eventstore.groups.leases import Grant


class Phase(Enum):
    """Where the next events of a partition come from."""

    PENDING = auto()
    """From what earlier owners were given and did not finish."""
    ARCHIVE = auto()
    """From the merged history: the log begins behind what comes next."""
    LIVE = auto()
    """From the log, by the group."""


class Holding:
    """What a member knows of a partition that is its own.

    Events are taken in the order of the log and finished in any order. ``done`` is the low
    watermark: everything up to it is through.
    """

    def __init__(self, grant: Grant, valid_until_s: float, parked: set[str]) -> None:
        self.hold: Hold = grant.hold
        self.partition = grant.hold.partition
        self.valid_until_s = valid_until_s
        """Until when, by the member's clock, nobody else can have the lease."""
        self.phase = Phase.ARCHIVE if grant.from_archive else Phase.PENDING
        self.reached = grant.done
        """The last event that was taken."""
        self.delivered = grant.delivered
        """What is pending lies before this."""
        self.predecessor_died = not grant.is_clean
        self.ahead = grant.ahead
        self.doubted = grant.doubted
        self.done = grant.done
        self.parked = parked
        """Runs that are set aside: it may name too many, never too few."""
        self.lanes: dict[str, Lane] = {}
        self.redriven: dict[str, Lane] = {}
        """Of runs that are set aside, what is handled after all."""
        self.being_parked: set[str] = set()
        """Runs of which a worker is setting the waiting events aside."""
        self.unreadable: set[str] = set()
        """Runs that cannot be handled after all, since events of theirs are missing."""
        self.asleep: list[Lane] = []
        """Lanes that are ready, while the lease is not known to hold."""
        self.deliveries: dict[int, tuple[int, bool]] = {}
        """By ``n``: how often an event was delivered, where the coming call of its handler is to be
        counted, and whether it is counted in it already."""
        self.suspects: set[int] = set()
        """By ``n``: events that are handled alone, since they may kill the process."""
        self.working = 0
        """Handlers at work on events of this partition."""
        self.is_lost = False
        self.is_overrun = False
        """Whether a handler that could not be cut short still works on it."""
        self.is_leaving = False
        self.acknowledged_done = grant.done
        """The watermark that the server knows."""
        self.finished: list[Position] = []
        """What is through and not yet acknowledged."""
        self._outstanding: deque[Position] = deque()
        self._through: set[int] = set()

    @property
    def outstanding(self) -> int:
        """How many events were taken and are not through."""
        return len(self._outstanding) - len(self._through)

    def take(self, position: Position) -> None:
        """Note that an event was taken. They come in the order of the log."""
        self._outstanding.append(position)
        self.reached = position

    def is_outstanding(self, position: Position) -> bool:
        """Say whether an event was taken and is not through; for the rare case, it is slow."""
        return position in self._outstanding and position.n not in self._through

    def finish(self, position: Position, *, is_acknowledged: bool = False) -> None:
        """Note that an event is through, and move the watermark."""
        if not is_acknowledged:
            self.finished.append(position)
        if self.deliveries:
            self.deliveries.pop(position.n, None)
            self.suspects.discard(position.n)
        outstanding = self._outstanding
        if outstanding and outstanding[0] == position:
            self.done = outstanding.popleft()
            while outstanding and self._through and outstanding[0].n in self._through:
                self.done = outstanding.popleft()
                self._through.discard(self.done.n)
            if not outstanding:
                self.done = self.reached  # what lies between was through before
        else:
            self._through.add(position.n)

    def pass_over(self, position: Position) -> None:
        """Note that everything up to a position, which nobody is handling, was taken before."""
        self.reached = max(self.reached, position)
        if not self._outstanding:
            self.done = max(self.done, self.reached)

    def begun(self, position: Position, deliveries: int) -> int:
        """Give how many of an event's deliveries are sure to have been begun, at least one."""
        return max(1, deliveries - 1) if position <= self.doubted else deliveries

    @property
    def has_news(self) -> bool:
        """Whether the server does not know yet how far this is."""
        return bool(self.finished) or self.done != self.acknowledged_done

    @property
    def is_idle(self) -> bool:
        """Whether nothing of the partition is being handled."""
        return not self.working
