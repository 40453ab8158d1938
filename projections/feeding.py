"""How one projection takes in a batch: at once, or event by event when something went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from eventstore.errors import (
    CorruptEvent,
    HistoryGap,
    LogRegressed,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.events import Position, RecordedEvent
from projections.database import Transaction
from projections.failures import Failure, bury
from projections.positions import Reached
from projections.projection import Projection
from projections.standing import write_failure

NOT_ITS_FAULT = (
    ServerRefused,
    StoreUnavailable,
    StoreMismatch,
    HistoryGap,
    LogRegressed,
    CorruptEvent,
)
"""The disk, the database or the log: no projection can go on, and none is to blame."""

_NOTHING = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Where a projection stopped, and what it raised there."""

    event: RecordedEvent
    failure: Failure
    error: Exception


def not_yet(events: Sequence[RecordedEvent], reached: Reached) -> Sequence[RecordedEvent]:
    """Leave out what was had before: by a projection that is ahead, or given twice by the log.

    What it reached must stand in the log as it did: raises ``LogRegressed`` where another entry
    has taken its number, or a later one an earlier place.
    """
    fresh = []
    for event in events:
        partition, ms, n = place = event.position
        had = reached.get(partition, _NOTHING)
        if n > had[2]:
            if ms < had[1]:
                raise LogRegressed(f"partition {partition}", Position(*had), place)
            fresh.append(event)
        elif n == had[2] and place != had:
            raise LogRegressed(f"partition {partition}", Position(*had), place)
    return fresh


def feed(
    tx: Transaction, projection: Projection, events: Sequence[RecordedEvent], now_ms: int
) -> tuple[Sequence[RecordedEvent], Stopped | None]:
    """Give a projection its events; give back those it is done with, and where it stopped.

    Events that it skips are done with. What is not the projection's fault is raised.
    """
    if not events:
        return events, None
    try:
        with _savepoint(tx, projection):
            for event in events:
                projection.apply(tx, event)
            projection.flush(tx)
    except NOT_ITS_FAULT:
        raise
    except Exception:  # noqa: BLE001 - whatever a projection raises, the others go on
        projection.forget()
        return _feed_singly(tx, projection, events, now_ms)
    return events, None


def _feed_singly(
    tx: Transaction, projection: Projection, events: Sequence[RecordedEvent], now_ms: int
) -> tuple[Sequence[RecordedEvent], Stopped | None]:
    """Feed event by event, each written at once: what fails is then one event, and no other."""
    for number, event in enumerate(events):
        try:
            with _savepoint(tx, projection):
                projection.apply(tx, event)
                projection.flush(tx)
        except NOT_ITS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - the same
            projection.forget()
            failure = Failure.of(event, error)
            if projection.on_failure == "stop":
                write_failure(tx, projection.name, failure, now_ms)
                return events[:number], Stopped(event, failure, error)
            bury(tx, projection.name, event, failure, now_ms)
    return events, None


@contextmanager
def _savepoint(tx: Transaction, projection: Projection) -> Iterator[None]:
    """Write all of the block or, when the projection raises, nothing of it."""
    tx.execute("SAVEPOINT feeding")
    try:
        yield
    except NOT_ITS_FAULT:
        raise  # the whole batch will be rolled back, or has been: a full disk does that
    except Exception as error:
        if not tx.is_open:
            raise StoreMismatch(
                f"projection {projection.name!r} ended the projector's transaction; it must not "
                "use COMMIT, ROLLBACK, or OR ROLLBACK",
                projection=projection.name,
            ) from error
        tx.execute("ROLLBACK TO feeding")
        tx.execute("RELEASE feeding")
        raise
    tx.execute("RELEASE feeding")
