"""States of runs that were folded before: where a fold of a long run begins."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eventstore import EventStore, RecordedEvent, RunStoreError, SyncEventStore
from eventstore.sqlite import Database, Schema
from projections import RunProjection
from projections.state import CallState, NodeState, PauseOutcome, PauseState, RunState, SignalState
from replay.timetravel.past import At

DEFAULT_MAX_SNAPSHOTS = 10_000

_log = logging.getLogger("runstore.timetravel")
_SCHEMA = Schema(
    application_id=0x52554E53,  # the bytes spell RUNS
    package="replay.timetravel",
    kind="file of snapshots",
    is_kept=False,
    when_missing="it is made when it is opened to write",
    when_older="open it to write once",
    when_damaged="delete it: it is made anew",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = "store_id, fold, run_id, version, event_id, position, latest_us, state, digest"
_FIND = f"""
SELECT {_COLUMNS} FROM snapshots WHERE store_id = ? AND fold = ? AND run_id = ?
AND version <= ? AND latest_us <= ? ORDER BY version DESC LIMIT 1
"""
_KEEP = f"INSERT OR REPLACE INTO snapshots ({_COLUMNS}) VALUES ({', '.join('?' * 9)})"
_BOUND = "DELETE FROM snapshots WHERE number <= (SELECT max(number) FROM snapshots) - ?"
_FORGET = "DELETE FROM snapshots WHERE store_id = ? AND run_id = ?"
_COUNT = "SELECT count(*) FROM snapshots WHERE store_id = ? AND run_id = ?"
_BEYOND = 2**62


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run after the event that it names.

    ``latest_us`` is when the latest of the events up to there occurred, in microseconds since
    1970: a time before it asks for an earlier state.
    """

    version: int
    event_id: str
    position: str
    latest_us: int
    state: bytes

    @classmethod
    def of(cls, state: RunState, event: RecordedEvent, latest_us: int) -> Self:
        """Take that of a state right after its last event."""
        return cls(event.version, event.id, str(event.position), latest_us, state.to_json())

    def fits(self, event: RecordedEvent) -> bool:
        """Say whether a run's event is the one that this state was taken after."""
        known = (self.version, self.event_id, self.position)
        return (event.version, event.id, str(event.position)) == known


def in_us(moment: datetime) -> int:
    """Give a time as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


class SnapshotFile:
    """Keeps states in a SQLite file: a cache, which may be deleted at any time.

    A state is used only where it is what was written (by its digest), the store and the code are
    those that it was made by, and the run still has the event that it was taken after. The last
    ``max_snapshots`` are kept. A deleted run's are dropped when somebody looks at it. What goes
    wrong with the file is logged, and the run is folded from its beginning.
    """

    def __init__(self, path: Path | str, *, max_snapshots: int = DEFAULT_MAX_SNAPSHOTS) -> None:
        """Open the file, or make it. Raises ``StoreMismatch`` and ``ServerRefused``."""
        self._database = Database(Path(path).absolute(), _SCHEMA, read_only=False)
        self._max_snapshots = max_snapshots

    def find(self, store: EventStore | SyncEventStore, run_id: str, at: At) -> Snapshot | None:
        """Give the nearest state of a run before a version or a time, if there is one."""
        version = at if isinstance(at, int) else _BEYOND
        until_us = in_us(at) if isinstance(at, datetime) else _BEYOND
        asked = (store.identity, _fold(store), run_id, version, until_us)
        try:
            with self._database.snapshot() as tx:
                rows = tx.execute(_FIND, asked)
        except RunStoreError as error:
            _log.warning("snapshots cannot be read, run %r is folded whole: %s", run_id, error)
            return None
        if not rows:
            return None
        *known, digest = rows[0]
        if _digest(known) != digest:
            _log.warning("the snapshot of run %r at version %s is damaged", run_id, known[3])
            return None
        return Snapshot(*known[3:])

    def keep(
        self, store: EventStore | SyncEventStore, run_id: str, made: Sequence[Snapshot]
    ) -> None:
        """Keep states of a run."""
        rows = []
        for one in made:
            parts = (one.version, one.event_id, one.position, one.latest_us, one.state)
            known = [store.identity, _fold(store), run_id, *parts]
            rows.append((*known, _digest(known)))
        try:
            with self._database.transaction() as tx:
                tx.executemany(_KEEP, rows)
                tx.execute(_BOUND, (self._max_snapshots,))
        except RunStoreError as error:
            _log.warning("snapshots of run %r are not kept: %s", run_id, error)

    def forget(self, store: EventStore | SyncEventStore, run_id: str) -> None:
        """Drop a run's states."""
        with self._database.transaction() as tx:
            tx.execute(_FORGET, (store.identity, run_id))

    def count(self, store: EventStore | SyncEventStore, run_id: str) -> int:
        """Count a run's states, whichever code they were made by."""
        with self._database.snapshot() as tx:
            return int(tx.execute(_COUNT, (store.identity, run_id))[0][0])

    def rewrite(self) -> bool:
        """Write the file anew, without traces of what was dropped; False if readers hinder it."""
        self._database.rewrite()
        return self._database.settle()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _fold(store: EventStore | SyncEventStore) -> str:
    """Name the code that folds: another one makes other states of the same events."""
    parts = (RunState, NodeState, CallState, SignalState, PauseState, PauseOutcome)
    shape = [field.name for part in parts for field in fields(part)]
    told = repr((RunProjection.version, shape, store.opening.upcasters.steps))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _digest(known: Sequence[Any]) -> bytes:
    return hashlib.sha256(repr(known).encode()).digest()
