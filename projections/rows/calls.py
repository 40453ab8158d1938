"""The rows of tool, model and HTTP calls."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.events import ENDS, RecordedEvent
from projections.database import Transaction
from projections.state import CallState, RunState

CALL_TYPES = ENDS | {"call.started", "call.completed", "call.failed"}
"""The types that can change a call."""

_STATUSES = {"call.completed": "completed", "call.failed": "failed"}
_BEGIN = """
INSERT OR REPLACE INTO calls (run_id, version, call_id, parent_call_id, workflow_id, node_id,
                              kind, name, status, started_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)
"""
_END = """
UPDATE calls SET status = ?, ended_ms = ?, ended_version = ?, usage = ?, error = ?,
                 node_id = coalesce(node_id, ?), kind = coalesce(kind, ?),
                 name = coalesce(name, ?)
WHERE run_id = ? AND version = ?
"""


class CallRows:
    """Collects the calls that began and ended in a batch."""

    def __init__(self) -> None:
        self._begun: list[tuple[Any, ...]] = []
        self._ended: list[tuple[Any, ...]] = []

    def note(self, state: RunState, event: RecordedEvent, before: dict[str, CallState]) -> None:
        """Remember what an applied event of ``CALL_TYPES`` did to the calls open ``before``."""
        if event.type in ENDS:
            for call in before.values():
                self._ended.append(_ending(state, call.version, "ended", {}, None))
            return
        call_id = event.data["call_id"]
        known = before.get(call_id)
        if event.type == "call.started":
            if known:
                self._ended.append(_ending(state, known.version, "restarted", {}, event.version))
            self._begun.append(_beginning(state, event))
            return
        if known is None:
            self._begun.append(_beginning(state, event))
        began = known.version if known else event.version
        status = _STATUSES[event.type]
        self._ended.append(_ending(state, began, status, event.data, event.version))

    def write(self, tx: Transaction) -> None:
        """Write what was remembered, and forget it."""
        tx.executemany(_BEGIN, self._begun)
        tx.executemany(_END, self._ended)
        self.clear()

    def clear(self) -> None:
        """Forget what was remembered."""
        self._begun.clear()
        self._ended.clear()


def _beginning(state: RunState, event: RecordedEvent) -> tuple[Any, ...]:
    data = event.data
    return (
        state.run_id,
        event.version,
        data["call_id"],
        data.get("parent_call_id"),
        state.workflow_id,
        data.get("node_id"),
        data.get("kind"),
        data.get("name"),
        state.updated_ms,
    )


def _ending(
    state: RunState, version: int, status: str, data: dict[str, Any], ended_version: int | None
) -> tuple[Any, ...]:
    return (
        status,
        state.updated_ms,
        ended_version,
        _json(data.get("usage")),
        _json(data.get("error")),
        data.get("node_id"),
        data.get("kind"),
        data.get("name"),
        state.run_id,
        version,
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
