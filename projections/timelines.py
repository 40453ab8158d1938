"""The timeline: every event as a row that people and queries read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from eventstore.clock import to_ms
from eventstore.events import PAYLOADS, RecordedEvent
from projections.database import Transaction
from projections.projection import Projection
from projections.state.transitions import actor_of

CUSTOM = "custom"
_PAUSES = ("run.paused", "run.window_expired", "run.restored", "run.resumed")
_SOURCES_BY_PREFIX = {"checkpoint": "run"}
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
INSERT INTO timeline (run_id, version, type, source, workflow_id, node_id, actor,
                      occurred_ms, recorded_ms, event_id, data, meta)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT = """
INSERT INTO event_types (type, events) VALUES (?, ?)
ON CONFLICT (type) DO UPDATE SET events = events + excluded.events
"""


class TimelineProjection(Projection):
    """Writes ``timeline`` and ``event_types``."""

    name = "timeline"
    version = 1

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
        """Keep the event's row for the end of the batch."""
        data, meta = event.data, event.meta
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

    def flush(self, tx: Transaction) -> None:
        """Write the batch's rows."""
        rows, self._rows = self._rows, []
        tx.executemany(_INSERT, rows)
        tx.executemany(_COUNT, Counter(row[2] for row in rows).items())

    def forget(self) -> None:
        """Drop the rows kept back."""
        self._rows = []
