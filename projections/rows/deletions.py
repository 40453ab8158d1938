"""What is left of deleted runs: that they were, when they were deleted and why. No more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eventstore.clock import to_ms
from eventstore.events import DELETED, RecordedEvent
from projections.database import Transaction
from projections.state import RunState
from projections.state.transitions import actor_of

_WRITE = """
INSERT OR REPLACE INTO deleted_runs (run_id, version, deleted_ms, reason, actor)
VALUES (?, ?, ?, ?, ?)
"""


class DeletedRows:
    """Collects the runs that a batch deleted, and takes their rows out of ``tables``."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._tables = tuple(tables)
        self._rows: dict[str, tuple[Any, ...]] = {}

    def note(self, state: RunState, event: RecordedEvent) -> None:
        """Remember that an applied event deleted its run, if it did."""
        if event.type == DELETED:
            self._rows[state.run_id] = (
                state.run_id,
                event.version,
                to_ms(event.occurred_at),
                state.reason,
                actor_of(event),
            )

    def write(self, tx: Transaction) -> None:
        """Take out what was written of the deleted runs, and say so; forget what was collected."""
        if self._rows:
            erase_runs(tx, self._tables, self._rows)
            tx.executemany(_WRITE, self._rows.values())
        self.clear()

    def clear(self) -> None:
        """Forget what was collected."""
        self._rows.clear()


def erase_runs(tx: Transaction, tables: Iterable[str], run_ids: Iterable[str]) -> None:
    """Delete all rows of some runs; where they stood in the file, SQLite writes zeros."""
    named = [(run_id,) for run_id in run_ids]
    for table in tables:
        tx.executemany(f"DELETE FROM {table} WHERE run_id = ?", named)
