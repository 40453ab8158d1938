"""The rows of runs, and of what the same fold says about their nodes, pauses and checkpoints."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.events import RecordedEvent
from projections.database import Transaction
from projections.projection import Projection
from projections.rows import PAUSE_TYPES, CheckpointRows, LabelRows, NodeRows, PauseRows
from projections.run_cache import RunCache
from projections.state import RunState

DEFAULT_CACHE_BYTES = 16 * 1_048_576

_LOAD = "SELECT snapshot FROM runs WHERE run_id = ?"
_WRITE = """
INSERT INTO runs (run_id, workflow_id, status, version, parent, labels, definition_hash,
                  created_ms, started_ms, updated_ms, ended_ms, paused_total_ms, deleted, snapshot)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET
    workflow_id = excluded.workflow_id, status = excluded.status, version = excluded.version,
    parent = excluded.parent, labels = excluded.labels,
    definition_hash = excluded.definition_hash, started_ms = excluded.started_ms,
    updated_ms = excluded.updated_ms, ended_ms = excluded.ended_ms,
    paused_total_ms = excluded.paused_total_ms, deleted = excluded.deleted,
    snapshot = excluded.snapshot
"""


class RunProjection(Projection):
    """Writes ``runs``, ``run_labels``, ``nodes``, ``pauses`` and ``checkpoints``.

    Each run that a batch touches is folded in memory and written once, with a snapshot of the
    fold, from which a run that is no longer in memory goes on. ``cache_bytes`` bounds, by the
    size of their snapshots, the runs kept in memory between batches.
    """

    name = "runs"
    version = 1

    def __init__(self, *, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._cache = RunCache(cache_bytes)
        self._touched: dict[str, RunState] = {}
        self._labels = LabelRows()
        self._nodes = NodeRows()
        self._pauses = PauseRows()
        self._checkpoints = CheckpointRows()

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Fold the event into its run. Raises ``HistoryGap`` if the run misses events."""
        state = self._touched.get(event.run_id) or self._touch(tx, event.run_id)
        before = tuple(state.pauses.values()) if event.type in PAUSE_TYPES else None
        if not state.apply(event):
            return
        self._labels.note(state, event)
        self._nodes.note(state, event)
        self._checkpoints.note(state, event)
        if before is not None:
            self._pauses.note(state, event, before)

    def flush(self, tx: Transaction) -> None:
        """Write each touched run once, with all that belongs to it."""
        snapshots = [(state, state.to_json()) for state in self._touched.values()]
        tx.executemany(_WRITE, [_row(state, snapshot) for state, snapshot in snapshots])
        for rows in (self._labels, self._nodes, self._pauses, self._checkpoints):
            rows.write(tx)
        for state, snapshot in snapshots:
            self._release(state, len(snapshot))
        self._touched.clear()

    def forget(self) -> None:
        """Drop all that is in memory; the database is read again."""
        self._touched.clear()
        self._cache.clear()
        for rows in (self._labels, self._nodes, self._pauses, self._checkpoints):
            rows.clear()

    def _release(self, state: RunState, size_bytes: int) -> None:
        if state.ended_ms is None:
            self._cache.keep(state, size_bytes)
        else:
            self._cache.drop(state.run_id)

    def _touch(self, tx: Transaction, run_id: str) -> RunState:
        state = self._cache.get(run_id)
        if state is None:
            found = tx.execute(_LOAD, (run_id,))
            state = RunState.from_json(found[0][0]) if found else RunState(run_id)
        self._touched[run_id] = state
        return state


def _row(state: RunState, snapshot: bytes) -> tuple[Any, ...]:
    return (
        state.run_id,
        state.workflow_id,
        state.status,
        state.version,
        state.parent,
        orjson.dumps(state.labels).decode(),
        state.definition_hash,
        state.created_ms,
        state.started_ms,
        state.updated_ms,
        state.ended_ms,
        state.paused_total_ms,
        state.deleted,
        snapshot.decode(),
    )
