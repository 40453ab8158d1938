"""How far each projection has read, kept beside its rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from eventstore.errors import InvalidArgument, WaitTimeout
from eventstore.events import Position, RecordedEvent
from projections.database import Database, Transaction

Reached = Mapping[int, Position]
"""The last position read of each partition; a partition not yet begun is missing."""

DEFAULT_WAIT_S = 5.0
_POLL_S = 0.005

_LOAD = "SELECT partition_no, ms, n FROM positions WHERE projection = ?"
_WRITE = """
INSERT INTO positions (projection, partition_no, ms, n, events) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (projection, partition_no) DO UPDATE SET
    ms = excluded.ms, n = excluded.n, events = events + excluded.events
"""


class Appended(Protocol):
    """What an append gives back, as far as waiting for it goes."""

    @property
    def positions(self) -> Sequence[Position]:
        """Where the appended events stand."""


def load_positions(tx: Transaction, projection: str) -> dict[int, Position]:
    """Give the positions that a projection has reached."""
    rows = tx.execute(_LOAD, (projection,))
    return {partition: Position(partition, ms, n) for partition, ms, n in rows}


def write_positions(tx: Transaction, projection: str, events: Iterable[RecordedEvent]) -> Reached:
    """Count events as read, in the transaction that writes their rows; give what was reached."""
    last: dict[int, Position] = {}
    count: dict[int, int] = {}
    for event in events:
        partition = event.position.partition
        last[partition] = event.position
        count[partition] = count.get(partition, 0) + 1
    tx.executemany(
        _WRITE,
        [
            (projection, place.partition, place.ms, place.n, count[key])
            for key, place in last.items()
        ],
    )
    return last


def common_positions(reached: Iterable[Reached]) -> dict[int, Position]:
    """Give what every projection has read: the earliest of each partition that all have begun."""
    every = list(reached)
    begun = set.intersection(*(set(one) for one in every)) if every else set()
    return {partition: min(one[partition] for one in every) for partition in begun}


def wait_for(
    database: Database,
    appended: Appended | Iterable[Position],
    timeout_s: float = DEFAULT_WAIT_S,
    *,
    projections: Iterable[str],
) -> None:
    """Wait until ``projections`` show what was appended: read your own writes.

    Works from any process that can open the database. It asks the file every few milliseconds,
    since SQLite cannot wake a reader. Raises ``WaitTimeout`` after ``timeout_s`` seconds.
    """
    if timeout_s < 0:
        raise InvalidArgument(f"timeout_s must be 0 or more, not {timeout_s!r}")
    positions: Iterable[Position] = getattr(appended, "positions", appended)  # type: ignore[arg-type]
    wanted = _last_of_each(positions)
    names = tuple(projections)
    deadline = time.monotonic() + timeout_s
    while not _shows(database, names, wanted):
        if time.monotonic() >= deadline:
            raise WaitTimeout(
                f"the projection of {', '.join(map(str, wanted.values()))}", timeout_s
            )
        time.sleep(_POLL_S)


def _last_of_each(positions: Iterable[Position]) -> dict[int, Position]:
    last: dict[int, Position] = {}
    for position in positions:
        last[position.partition] = max(position, last.get(position.partition, position))
    return last


def _shows(database: Database, names: Iterable[str], wanted: Reached) -> bool:
    with database.snapshot() as tx:
        for name in names:
            reached = load_positions(tx, name)
            if any(key not in reached or reached[key] < place for key, place in wanted.items()):
                return False
    return True
