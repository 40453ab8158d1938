"""Which of the parked runs are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import NoneType

from eventstore.clock import to_ms
from eventstore.errors import InvalidArgument
from eventstore.events import Position, check_run_id
from eventstore.groups.parking.parked_run import ParkedRun, State

Place = tuple[int, int]
"""A dead id: milliseconds and a number."""

_HIGHEST = 2**64 - 1
STATES = ("parked", "redrive")


@dataclass(frozen=True, slots=True)
class ParkedFilter:
    """Conditions that must all hold; without any, all parked runs are meant.

    - ``type``: of the event that failed; ``kind``: the name of the error's class.
    - ``text``: stands somewhere in the error's message, in capitals or not.
    - ``after``, ``before``: parked from the one time on, and before the other.
    - ``up_to``: parked no later than the run with this ``place``.

    Raises ``InvalidArgument`` and ``InvalidRunId``.
    """

    run_id: str | None = None
    workflow_id: str | None = None
    type: str | None = None
    kind: str | None = None
    text: str | None = None
    state: State | None = None
    after: datetime | None = None
    before: datetime | None = None
    up_to: str | Position | None = None

    def __post_init__(self) -> None:
        if self.run_id is not None:
            check_run_id(self.run_id)
        if self.state is not None and self.state not in STATES:
            raise InvalidArgument(f"state must be {' or '.join(STATES)}, not {self.state!r}")
        if not isinstance(self.up_to, (str, Position, NoneType)):
            raise InvalidArgument(f"up_to must be the place of a parked run, not {self.up_to!r}")
        self.span(0)

    @property
    def takes_all(self) -> bool:
        """Whether there is no condition."""
        return self == ParkedFilter()

    def span(self, partition: int) -> tuple[Place, Place]:
        """Give the lowest and the highest dead id of a partition that may be meant."""
        low = (to_ms(self.after), 0) if self.after is not None else (0, 0)
        high = (to_ms(self.before) - 1, _HIGHEST) if self.before is not None else LAST
        if self.up_to is not None:
            place = self.up_to
            limit = Position.parse(place) if isinstance(place, str) else place
            high = min(high, last_of(partition, limit))
        return max(low, (0, 0)), high

    def accepts(self, run: ParkedRun) -> bool:
        """Say whether a run of the right time is meant."""
        wanted = (self.run_id, self.workflow_id, self.type, self.kind, self.state)
        found = (run.run_id, run.workflow_id, run.type, run.failure.kind, run.state)
        if any(want is not None and want != has for want, has in zip(wanted, found, strict=True)):
            return False
        return self.text is None or self.text.casefold() in run.failure.message.casefold()


LAST: Place = (_HIGHEST, _HIGHEST)


def place_of(position: Position) -> Place:
    """Give a dead id without its partition."""
    return position.ms, position.n


def last_of(partition: int, limit: Position) -> Place:
    """Give the last dead id of a partition that does not come after a place.

    Places are in the order of their time, then of their number, then of their partition.
    """
    place = place_of(limit)
    return place if partition <= limit.partition else before(place)


def first_of(partition: int, start: Position) -> Place:
    """Give the first dead id of a partition that comes after a place."""
    place = place_of(start)
    return place if partition > start.partition else after(place)


def before(place: Place) -> Place:
    """Give the dead id just before one."""
    ms, n = place
    return (ms, n - 1) if n else (ms - 1, _HIGHEST)


def after(place: Place) -> Place:
    """Give the dead id just after one."""
    ms, n = place
    return (ms, n + 1)
