"""One partition that a member holds by lease, and how far it is there. Nothing here does I/O."""

from __future__ import annotations

from enum import Enum, auto

from eventstore.events import Position
from eventstore.groups.hand.lane import Lane
from eventstore.groups.hold import Hold
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

    Events are taken in the order of the log and finished in any order. Of what is through nothing
    is kept but the watermark, however long one event before it waits.
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
        self._outstanding: dict[int, Position] = {}
        """By ``n``: events that were taken and are not through, and what was reached before."""

    @property
    def outstanding(self) -> int:
        """How many events were taken and are not through."""
        return len(self._outstanding)

    @property
    def done(self) -> Position:
        """The low watermark: everything up to it is through."""
        for reached_before in self._outstanding.values():
            return reached_before
        return self.reached

    def take(self, position: Position) -> None:
        """Note that an event was taken. They come in the order of the log."""
        self._outstanding[position.n] = self.reached
        self.reached = position

    def is_outstanding(self, position: Position) -> bool:
        """Say whether an event was taken and is not through."""
        return position.n in self._outstanding

    def finish(self, position: Position, *, is_acknowledged: bool = False) -> None:
        """Note that an event is through, and move the watermark."""
        if not is_acknowledged:
            self.finished.append(position)
        if self.deliveries:
            self.deliveries.pop(position.n, None)
            self.suspects.discard(position.n)
        self._outstanding.pop(position.n, None)

    def pass_over(self, position: Position) -> None:
        """Note that everything up to a position, which nobody is handling, was taken before."""
        self.reached = max(self.reached, position)

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
