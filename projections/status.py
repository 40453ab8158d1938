"""Where each projection of a database stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventstore.clock import from_ms
from eventstore.events import Position
from eventstore.sqlite.writer_lock import Holder
from projections.database import Database, Transaction
from projections.database.projector_lock import projector_lock
from projections.failures import Failure
from projections.positions import load_positions
from projections.standing import FAILED, PAUSED, RUNNING
from projections.stops import Stop, read_stop


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """How far a projection has come, and whether it goes on.

    ``events`` counts what it has taken in; ``lag_events`` what the log holds beyond that, None
    if the log was not asked. ``state`` is ``running``, ``paused`` or ``failed``; ``since`` and
    ``cause`` are the pause's or the failure's, ``failure`` says at which event it failed and why.
    ``dead_events`` counts the events that it skipped.
    """

    name: str
    version: int
    positions: dict[int, Position]
    events: int
    lag_events: int | None
    state: str = RUNNING
    since: datetime | None = None
    cause: str | None = None
    failure: Failure | None = None
    dead_events: int = 0


@dataclass(frozen=True, slots=True)
class ProjectorStatus:
    """Who projects into a database now, and why the one that ran last stopped by itself."""

    holder: Holder | None
    stop: Stop | None


def projection_status(
    database: Database, tails: Mapping[int, Position] | None = None
) -> list[ProjectionStatus]:
    """Say where each projection stands, against the log's ``tails`` if they are given.

    Reads only: it works while a projector runs in another process, and while none does.
    """
    with database.snapshot() as tx:
        return [_status(tx, tails, *row) for row in tx.execute(_PROJECTIONS)]


def projector_status(database: Database) -> ProjectorStatus:
    """Say who projects into the database, and what stopped the projector that ran last."""
    with database.snapshot() as tx:
        return ProjectorStatus(projector_lock(database.path).holder(), read_stop(tx))


_PROJECTIONS = """
SELECT name, version, paused_ms, paused_cause, failed_ms, failure,
       (SELECT coalesce(sum(events), 0) FROM positions WHERE projection = name),
       (SELECT count(*) FROM dead_events WHERE projection = name)
FROM projections ORDER BY name
"""


def _status(
    tx: Transaction,
    tails: Mapping[int, Position] | None,
    name: str,
    version: int,
    paused_ms: int | None,
    paused_cause: str | None,
    failed_ms: int | None,
    failed: str | None,
    events: int,
    dead_events: int,
) -> ProjectionStatus:
    failure = Failure.parse(failed) if failed else None
    since_ms = paused_ms if failed_ms is None else failed_ms
    held: dict[str, Any] = {}
    if since_ms is not None:
        held["state"] = FAILED if failure else PAUSED
        held["since"] = from_ms(since_ms)
        held["cause"] = failure.cause if failure else paused_cause
    reached = load_positions(tx, name)
    lag = None if tails is None else _lag(reached, tails)
    return ProjectionStatus(
        name, version, reached, events, lag, failure=failure, dead_events=dead_events, **held
    )


def _lag(reached: Mapping[int, Position], tails: Mapping[int, Position]) -> int:
    """Count the events beyond what was reached; entries of a partition are numbered gaplessly."""
    return sum(
        max(0, tail.n - (reached[partition].n if partition in reached else 0))
        for partition, tail in tails.items()
    )
