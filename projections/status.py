"""Where each projection of a database stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventstore.events import Position
from projections.database import Database
from projections.positions import load_positions


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """How far a projection has come.

    ``events`` counts what it has taken in; ``lag_events`` what the log holds beyond that, None
    if the log was not asked.
    """

    name: str
    version: int
    positions: dict[int, Position]
    events: int
    lag_events: int | None


def projection_status(
    database: Database, tails: Mapping[int, Position] | None = None
) -> list[ProjectionStatus]:
    """Say where each projection stands, against the log's ``tails`` if they are given.

    Reads only: it works while a projector runs in another process, and while none does.
    """
    with database.snapshot() as tx:
        return [
            ProjectionStatus(
                name=name,
                version=version,
                positions=(reached := load_positions(tx, name)),
                events=events,
                lag_events=None if tails is None else _lag(reached, tails),
            )
            for name, version, events in tx.execute(_PROJECTIONS)
        ]


_PROJECTIONS = """
SELECT name, version,
       (SELECT coalesce(sum(events), 0) FROM positions WHERE projection = name)
FROM projections ORDER BY name
"""


def _lag(reached: Mapping[int, Position], tails: Mapping[int, Position]) -> int:
    """Count the events beyond what was reached; entries of a partition are numbered gaplessly."""
    return sum(
        tail.n - (reached[partition].n if partition in reached else 0)
        for partition, tail in tails.items()
    )
