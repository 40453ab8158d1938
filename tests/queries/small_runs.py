"""Five runs: one is done, one waits, one failed, one is of another workflow, one is new."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from histories import EPOCH

from eventstore.events import NewEvent

HOUR_MS = 3_600_000


def at(hours: float) -> datetime:
    return EPOCH + timedelta(hours=hours)


def event(event_type: str, hours: float, **data: Any) -> NewEvent:
    return NewEvent(event_type, data, workflow_id="intake", occurred_at=at(hours))


def paused(hours: float, pause_id: str = "p", window_ms: int | None = HOUR_MS) -> NewEvent:
    details = {"state": {"at": hours}, "resume_at": "ask", "on_expiry": "park", "reason": "ask"}
    return event("run.paused", hours, pause_id=pause_id, window_ms=window_ms, **details)


def resumed(hours: float, pause_id: str = "p", **more: Any) -> NewEvent:
    return event("run.resumed", hours, pause_id=pause_id, cause="manual", **more)


RUNS = {
    "done": [
        event("run.created", 0, input=1, labels={"team": "x", "rank": 1}),
        event("node.started", 1, node_id="n", label="Fetch"),
        event("node.completed", 2, node_id="n", output={"rows": 3}),
        paused(3),
        resumed(5, actor="ann"),
        event("run.completed", 6, output=2),
    ],
    "waiting": [
        event("run.created", 1, labels={"team": "x", "rank": "1"}, parent="done"),
        event("run.started", 2),
        paused(3, window_ms=None),
        paused(4, "q"),
        event("run.window_expired", 5, pause_id="q"),
    ],
    "broken": [
        event("run.created", 2, labels={"team": "y"}),
        event("call.started", 3, call_id="c", kind="tool", name="look"),
        paused(4),
        event("run.failed", 5, error={"type": "E", "message": "m"}),
    ],
    "other": [
        NewEvent("run.created", {}, workflow_id="billing", occurred_at=at(3)),
        NewEvent("invoice.sent", {}, workflow_id="billing", occurred_at=at(9)),
    ],
    "new": [event("run.created", 4)],
}
