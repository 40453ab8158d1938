"""Nodes of a run, and the calls inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.events import RecordedEvent
from projections.state.node_state import NodeState
from projections.state.open_items import CallState
from projections.state.tallies import add_usage, count
from projections.state.transitions.base import Transition, merge, started

if TYPE_CHECKING:
    from projections.state.run_state import RunState


def _node(run: RunState, event: RecordedEvent, at_ms: int) -> NodeState:
    """Find the node that an event names, or make it; node events start a pending run."""
    started(run, event, at_ms)
    node_id = event.data["node_id"]
    node = run.nodes.get(node_id)
    if node is None:
        node = run.nodes[node_id] = NodeState(node_id, event.version)
    label = event.data.get("label")
    if isinstance(label, str):
        node.label = label
    return node


def _node_queued(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    node = _node(run, event, at_ms)
    node.begin("queued")
    node.queued_ms = at_ms


def _node_started(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    node = _node(run, event, at_ms)
    node.begin("running")
    node.started_ms = at_ms
    node.started_version = event.version
    node.attempts = event.data.get("attempt") or node.attempts + 1


def _node_completed(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    node = _node(run, event, at_ms)
    node.end("completed", at_ms)
    node.output = event.data.get("output")
    node.error = None
    merge(run, event.data.get("patch"))


def _node_failed(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    node = _node(run, event, at_ms)
    node.end("retrying" if event.data.get("will_retry") else "failed", at_ms)
    node.error = event.data["error"]
    count(run, "failures")


def _node_retry_scheduled(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    _node(run, event, at_ms).status = "retrying"


def _node_skipped(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    _node(run, event, at_ms).end("skipped", at_ms)


def _call_started(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    started(run, event, at_ms)
    count(run, "calls")
    data = event.data
    call_id = data["call_id"]
    run.calls[call_id] = CallState(
        call_id, event.version, data.get("node_id"), data.get("kind"), data.get("name"), at_ms
    )


def _call_ended(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    started(run, event, at_ms)
    if run.calls.pop(event.data["call_id"], None) is None:
        count(run, "calls")  # nobody told of its start
    if event.type == "call.failed":
        count(run, "failures")
    usage = event.data.get("usage")
    if usage:
        add_usage(run.usage, usage)


NODES: dict[str, Transition] = {
    "node.queued": _node_queued,
    "node.started": _node_started,
    "node.completed": _node_completed,
    "node.failed": _node_failed,
    "node.retry_scheduled": _node_retry_scheduled,
    "node.skipped": _node_skipped,
    "call.started": _call_started,
    "call.completed": _call_ended,
    "call.failed": _call_ended,
}
