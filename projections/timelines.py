"""The timeline: every event as a row that people and queries read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from eventstore.clock import to_ms
from eventstore.events import DELETED, PAYLOADS, STORED, RecordedEvent
from projections.database import Database, Transaction
from projections.projection import Projection
from projections.rows.deletions import erase_runs
from projections.search.feed import enqueue, erase_texts, feed_search
from projections.state.transitions import actor_of

CUSTOM = "custom"
_PAUSES = (
    "run.paused",
    "run.window_extended",
    "run.window_expired",
    "run.restored",
    "run.resumed",
)
_SOURCES_BY_PREFIX = {"checkpoint": "run", "state": "run"}
SOURCES: dict[str, str] = {
    **{
        kind: _SOURCES_BY_PREFIX.get(prefix, prefix)
        for kind in PAYLOADS
        for prefix in [kind.partition(".")[0]]
    },
    **dict.fromkeys(_PAUSES, "pause"),
}
"""The source of each built-in type; every other type's is ``custom``."""

_INSERT = """
INSERT OR IGNORE INTO timeline (run_id, version, type, source, workflow_id, node_id, actor,
                                occurred_ms, recorded_ms, event_id, data, meta)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT = """
INSERT INTO event_types (type, events) VALUES (?, ?)
ON CONFLICT (type) DO UPDATE SET events = events + excluded.events
"""
_COUNT_ANEW = """
INSERT INTO event_types (type, events) SELECT type, count(*) FROM timeline GROUP BY type
"""
_UNCOUNT = """
UPDATE event_types SET events = events - (
    SELECT count(*) FROM timeline WHERE run_id = ? AND timeline.type = event_types.type)
"""


class TimelineProjection(Projection):
    """Writes ``timeline`` and ``event_types``; and, for the search, what is new there.

    A deleted run has no timeline. Of a stored value it has the digest alone.
    """

    name = "timeline"
    version = 2
    tables = ("timeline", "event_types")
    run_tables = ("timeline",)

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._deleted: set[str] = set()

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
        """Keep the event's row for the end of the batch."""
        data, meta = event.data, event.meta
        if event.type == STORED:
            data = {name: told for name, told in data.items() if name != "value"}
        node_id = data.get("node_id")
        self._rows.append(
            (
                event.run_id,
                event.version,
                event.type,
                SOURCES.get(event.type, CUSTOM),
                event.workflow_id,
                node_id if isinstance(node_id, str) else None,
                actor_of(event),
                to_ms(event.occurred_at),
                event.position.ms,
                event.id,
                orjson.dumps(data).decode(),
                orjson.dumps(meta).decode() if meta else "{}",
            )
        )
        if event.type == DELETED:
            self._deleted.add(event.run_id)

    def flush(self, tx: Transaction) -> None:
        """Write the batch's rows, and take those of deleted runs out."""
        rows, deleted = self._rows, self._deleted
        self.forget()
        before = _changes(tx)
        tx.executemany(_INSERT, rows)
        if _changes(tx) - before == len(rows):
            tx.executemany(_COUNT, Counter(row[2] for row in rows).items())
        else:  # some were there already
            tx.execute("DELETE FROM event_types")
            tx.execute(_COUNT_ANEW)
        enqueue(tx, ((row[0], row[1]) for row in rows))
        if deleted:
            _erase(tx, deleted)

    def idle(self, database: Database) -> int:
        """Let the search take up some of what is new."""
        return feed_search(database)

    def forget(self) -> None:
        """Drop the rows kept back."""
        self._rows, self._deleted = [], set()


def _changes(tx: Transaction) -> int:
    return int(tx.execute("SELECT total_changes()")[0][0])


def _erase(tx: Transaction, run_ids: set[str]) -> None:
    for run_id in run_ids:
        tx.execute(_UNCOUNT, (run_id,))
    tx.execute("DELETE FROM event_types WHERE events = 0")
    erase_texts(tx, run_ids)
    erase_runs(tx, ["timeline"], run_ids)
