"""The rows of agents: their messages, by thread, and which runs took part."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.clock import to_ms
from eventstore.events import DELETED, RecordedEvent
from projections.database import Transaction
from projections.projection import Projection
from projections.rows.deletions import erase_runs
from projections.state.transitions import actor_of

MESSAGE = "message.added"

_INSERT = """
INSERT OR REPLACE INTO messages (run_id, version, thread_id, workflow_id, role, actor,
                                 occurred_ms, content, tool_calls, tool_results)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# Sums are made anew from the rows below them, so that it does not matter how often.
_SUM_RUN = """
INSERT OR REPLACE INTO thread_runs (thread_id, run_id, workflow_id, messages, first_ms, last_ms)
SELECT thread_id, run_id, max(workflow_id), count(*), min(occurred_ms), max(occurred_ms)
FROM messages WHERE run_id = ? AND thread_id = ?
GROUP BY thread_id, run_id
"""
_SUM_THREAD = """
INSERT OR REPLACE INTO threads (thread_id, messages, runs, first_ms, last_ms)
SELECT thread_id, sum(messages), count(*), min(first_ms), max(last_ms)
FROM thread_runs WHERE thread_id = ? GROUP BY thread_id
"""
_TABLES_OF_RUNS = ("messages", "thread_runs")


class AgentProjection(Projection):
    """Writes ``messages``, ``thread_runs`` and ``threads``. A deleted run has none of them."""

    name = "agents"
    version = 1
    tables = ("messages", "thread_runs", "threads")
    run_tables = _TABLES_OF_RUNS

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._deleted: set[str] = set()

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
        """Keep a message's row for the end of the batch."""
        if event.type == MESSAGE:
            self._rows.append(_row(event))
        elif event.type == DELETED:
            self._deleted.add(event.run_id)

    def flush(self, tx: Transaction) -> None:
        """Write the batch's messages, and sum up what they belong to."""
        rows, deleted = self._rows, self._deleted
        self.forget()
        if rows:
            tx.executemany(_INSERT, rows)
            tx.executemany(_SUM_RUN, sorted({(row[0], row[2]) for row in rows}))
            tx.executemany(_SUM_THREAD, sorted({(row[2],) for row in rows}))
        if deleted:
            _erase(tx, deleted)

    def forget(self) -> None:
        """Drop the rows kept back."""
        self._rows, self._deleted = [], set()


def _row(event: RecordedEvent) -> tuple[Any, ...]:
    data = event.data
    return (
        event.run_id,
        event.version,
        data["thread_id"],
        event.workflow_id,
        data["role"],
        actor_of(event),
        to_ms(event.occurred_at),
        orjson.dumps(data.get("content")).decode(),
        _json(data.get("tool_calls")),
        _json(data.get("tool_results")),
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _erase(tx: Transaction, run_ids: set[str]) -> None:
    touched = {
        thread
        for run_id in run_ids
        for thread in tx.execute("SELECT thread_id FROM thread_runs WHERE run_id = ?", (run_id,))
    }
    erase_runs(tx, _TABLES_OF_RUNS, run_ids)
    tx.executemany("DELETE FROM threads WHERE thread_id = ?", touched)
    tx.executemany(_SUM_THREAD, sorted(touched))
