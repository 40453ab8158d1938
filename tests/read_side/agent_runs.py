"""Runs of two agents: with calls, messages, retries, logs; one failed, one will be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from histories import EPOCH, interleaved, record

from eventstore.events import NewEvent, RecordedEvent


def at(minutes: float) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


def event(event_type: str, minutes: float, workflow: str = "support", **data: Any) -> NewEvent:
    return NewEvent(event_type, data, workflow_id=workflow, occurred_at=at(minutes))


ERROR = {"type": "Timeout", "message": "the bank did not answer"}

RUNS = {
    "ask-1": [
        event("run.created", 0, input="Where is my Café invoice?", definition_hash="v1"),
        event("message.added", 1, thread_id="t-1", role="user", content="Where is my invoice?"),
        event("node.started", 2, node_id="look"),
        event("call.started", 2, call_id="c", kind="model", name="small", node_id="look"),
        event("call.completed", 3, call_id="c", usage={"input_tokens": 10, "output_tokens": 2}),
        event("node.failed", 4, node_id="look", error=ERROR, will_retry=True),
        event("node.started", 5, node_id="look"),
        event("call.started", 5, call_id="c", kind="model", name="large", parent_call_id="p"),
        event("call.completed", 7, call_id="c", usage={"input_tokens": 30}),
        event("node.completed", 8, node_id="look", output="found"),
        event("message.added", 9, thread_id="t-1", role="assistant", content={"text": "Here."}),
        event("run.completed", 10, output={"answer": "sent"}),
    ],
    "ask-2": [
        event("run.created", 20, definition_hash="v2", labels={"team": "x", "rank": 1}),
        event("message.added", 21, thread_id="t-1", role="user", content="And the refund?"),
        event("call.started", 22, call_id="h", kind="http", name="bank"),
        event("call.failed", 23, call_id="h", error=ERROR),
        event("call.started", 24, call_id="i", kind="http", name="bank"),
        event("log.emitted", 25, level="error", message="Refund of 990 EUR failed; giving up"),
        event("run.failed", 26, error=ERROR),
    ],
    "plan-1": [
        event("run.created", 30, "planner", definition_hash="v1", labels={"team": "y"}),
        event("message.added", 31, "planner", thread_id="t-2", role="user", content="Plan a trip"),
        event("log.emitted", 32, "planner", message="over_the_top 100% naïve 'quotes'"),
        event("node.started", 33, "planner", node_id="think"),
        event("node.completed", 35, "planner", node_id="think"),
    ],
}


def log(runs: dict[str, list[NewEvent]] = RUNS) -> list[RecordedEvent]:
    """Give the log of the runs, mixed."""
    return interleaved({name: record(name, events) for name, events in runs.items()}, [*runs] * 20)
