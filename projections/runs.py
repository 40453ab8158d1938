"""The rows of runs, and of what the same fold says about their nodes, calls, pauses and so on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import orjson

from eventstore.events import DELETED, RecordedEvent
from projections.database import Transaction
from projections.projection import Projection
from projections.rows import (
    BEGINNINGS,
    CALL_TYPES,
    NODE_TYPES,
    PAUSE_TYPES,
    CallRows,
    CheckpointRows,
    DeletedRows,
    LabelRows,
    NodeRows,
    PauseRows,
)
from projections.run_cache import RunCache
from projections.state import CallState, PauseState, RunState

DEFAULT_CACHE_BYTES = 16 * 1_048_576

_LOAD = """
SELECT snapshot, NULL, NULL FROM runs WHERE run_id = ?
UNION ALL
SELECT NULL, version, deleted_ms FROM deleted_runs WHERE run_id = ?
"""
_COLUMNS = (
    "workflow_id, parent, labels, definition_hash, created_ms, status, started_ms, ended_ms, "
    "version, updated_ms, paused_total_ms, counters, usage, snapshot, run_id"
)
_FIXED = 5
"""The first columns, which seldom change after a run's first events."""
_SLOW = 8
"""With these: what changes a few times in a run's life."""


def _update(after: int) -> str:
    """Write the UPDATE of the columns from there on: the indexes of those before are left alone."""
    columns = _COLUMNS.split(", ")[after:-1]
    return f"UPDATE runs SET {', '.join(f'{name} = ?' for name in columns)} WHERE run_id = ?"


_INSERT = f"INSERT OR REPLACE INTO runs ({_COLUMNS}) VALUES ({', '.join('?' * 15)})"
_UPDATE_STATUS = _update(_FIXED)
_UPDATE = _update(_SLOW)


class RunProjection(Projection):
    """Writes runs and their labels, nodes, calls, pauses and checkpoints; and deleted runs.

    Each run that a batch touches is folded in memory and written once, with a snapshot of the
    fold, from which a run that is no longer in memory goes on. ``cache_bytes`` bounds, by the
    size of their snapshots, the runs kept in memory between batches.
    """

    name = "runs"
    version = 3
    tables = (
        "runs",
        "run_labels",
        "nodes",
        "node_attempts",
        "calls",
        "pauses",
        "checkpoints",
        "deleted_runs",
    )
    run_tables = tables

    def __init__(self, *, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._cache_bytes = cache_bytes
        self._cache = RunCache(cache_bytes)
        self._touched: dict[str, RunState] = {}
        self._before: dict[str, tuple[Any, ...] | None] = {}  # as the rows of touched runs stand
        self._labels = LabelRows()
        self._nodes = NodeRows()
        self._calls = CallRows()
        self._pauses = PauseRows()
        self._checkpoints = CheckpointRows()
        self._deleted = DeletedRows(self.tables)
        self._rows = (
            self._labels,
            self._nodes,
            self._calls,
            self._pauses,
            self._checkpoints,
            self._deleted,  # last: it takes out what the others have written
        )

    def fresh(self) -> Self:
        """Give another one with the same settings."""
        return type(self)(cache_bytes=self._cache_bytes)

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Fold the event into its run. Raises ``HistoryGap`` if the run misses events."""
        state = self._touched.get(event.run_id) or self._touch(tx, event.run_id)
        kind = event.type
        if kind in NODE_TYPES:
            if kind in BEGINNINGS:
                self._nodes.leave(state, event)
            if state.apply(event):
                self._nodes.note(state, event)
            return
        pauses = tuple(state.pauses.values()) if kind in PAUSE_TYPES else ()
        calls = state.calls.copy() if kind in CALL_TYPES else {}
        over = state.ended_ms is not None
        if not state.apply(event):
            return
        if kind == DELETED:
            self._deleted.note(state, event)
        elif not over:
            self._note(state, event, pauses, calls)

    def _note(
        self,
        state: RunState,
        event: RecordedEvent,
        pauses: tuple[PauseState, ...],
        calls: dict[str, CallState],
    ) -> None:
        """Remember the rows that an event changed, given what was open before it."""
        self._labels.note(state, event)
        self._checkpoints.note(state, event)
        if event.type in PAUSE_TYPES:
            self._pauses.note(state, event, pauses)
        if event.type in CALL_TYPES:
            self._calls.note(state, event, calls)

    def flush(self, tx: Transaction) -> None:
        """Write each touched run once, with all that belongs to it."""
        snapshots = [
            (state, state.to_json()) for state in self._touched.values() if not state.deleted
        ]
        self._write_runs(tx, snapshots)
        for rows in self._rows:
            rows.write(tx)
        for state, snapshot in snapshots:
            self._release(state, len(snapshot))
        for state in self._touched.values():
            if state.deleted:
                self._cache.drop(state.run_id)
        self._touched.clear()
        self._before.clear()

    def forget(self) -> None:
        """Drop all that is in memory; the database is read again."""
        self._touched.clear()
        self._before.clear()
        self._cache.clear()
        for rows in self._rows:
            rows.clear()

    def _write_runs(self, tx: Transaction, snapshots: Iterable[tuple[RunState, bytes]]) -> None:
        new, changed, moved = [], [], []
        for state, snapshot in snapshots:
            row, before, slow = _row(state, snapshot), self._before[state.run_id], _slow(state)
            if before is None or before[:_FIXED] != slow[:_FIXED]:
                new.append(row)
            elif before != slow:
                changed.append(row[_FIXED:])
            else:
                moved.append(row[_SLOW:])
        tx.executemany(_INSERT, new)
        tx.executemany(_UPDATE_STATUS, changed)
        tx.executemany(_UPDATE, moved)

    def _release(self, state: RunState, size_bytes: int) -> None:
        if state.ended_ms is None:
            self._cache.keep(state, size_bytes)
        else:
            self._cache.drop(state.run_id)

    def _touch(self, tx: Transaction, run_id: str) -> RunState:
        state = self._cache.get(run_id) or _load(tx, run_id)
        self._before[run_id] = None if state is None else _slow(state)
        self._touched[run_id] = state = state or RunState(run_id)
        return state


def _load(tx: Transaction, run_id: str) -> RunState | None:
    """Read how a run stands; of a deleted one there is only its version."""
    found = tx.execute(_LOAD, (run_id, run_id))
    if not found:
        return None
    snapshot, version, deleted_ms = found[0]
    if snapshot is None:
        return RunState(run_id, version=version, ended_ms=deleted_ms, deleted=True)
    return RunState.from_json(snapshot)


def _slow(state: RunState) -> tuple[Any, ...]:
    """Give what of a run's row changes seldom, in the order of its columns."""
    return (
        state.workflow_id,
        state.parent,
        state.labels,
        state.definition_hash,
        state.created_ms,
        state.status,
        state.started_ms,
        state.ended_ms,
    )


def _row(state: RunState, snapshot: bytes) -> tuple[Any, ...]:
    return (
        state.workflow_id,
        state.parent,
        orjson.dumps(state.labels).decode(),
        state.definition_hash,
        state.created_ms,
        state.status,
        state.started_ms,
        state.ended_ms,
        state.version,
        state.updated_ms,
        state.paused_total_ms,
        orjson.dumps(state.counters).decode(),
        orjson.dumps(state.usage).decode(),
        snapshot.decode(),
        state.run_id,
    )
