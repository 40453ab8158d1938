"""How far each projection has read, kept beside its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventstore.events import Position, RecordedEvent
from projections.database import Transaction

Reached = Mapping[int, Position]
"""The last position read of each partition; a partition not yet begun is missing."""

_LOAD = "SELECT partition_no, ms, n FROM positions WHERE projection = ?"
_WRITE = """
INSERT INTO positions (projection, partition_no, ms, n, events) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (projection, partition_no) DO UPDATE SET
    ms = excluded.ms, n = excluded.n, events = events + excluded.events
"""


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
