"""What each event type does to a run's state. To add a type, write its function and list it.

A transition gets the state, the event, and when it occurred in milliseconds since 1970. It may
replace what the state holds and never changes what the event holds. Fields that a payload model
requires are trusted; the others may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eventstore.events import RecordedEvent
from projections.state.node_state import NodeState
from projections.state.open_items import CallState, SignalState, WatchState
from projections.state.pause_state import PauseOutcome, PauseState
from projections.state.stored_values import forget_unused, stored_in, whole_state, without
from projections.state.tallies import add_usage, count

if TYPE_CHECKING:
    from projections.state.run_state import RunState, RunStatus

Transition = Callable[["RunState", RecordedEvent, int], None]


def _created(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    run.input = data.get("input")
    run.parent = data.get("parent")
    run.labels = data.get("labels") or {}
    run.definition_hash = data.get("definition_hash")


def _started(run: RunState, _event: RecordedEvent, at_ms: int) -> None:
    if run.started_ms is None:
        run.started_ms = at_ms
    if run.status == "pending":
        run.status = "running"


def _completed(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    run.output = event.data.get("output")
    _end(run, "completed", event, at_ms)


def _failed(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    run.error = event.data["error"]
    _end(run, "failed", event, at_ms)


def _aborted(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    run.reason = event.data.get("reason")
    _end(run, "aborted", event, at_ms)


def _end(run: RunState, status: RunStatus, event: RecordedEvent, at_ms: int) -> None:
    run.status = status
    run.ended_ms = at_ms
    run.watches = {}
    for pause_id in tuple(run.pauses):
        _close_pause(run, pause_id, "run_ended", event, at_ms)
    forget_unused(run)


def _deleted(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    """Forget what the run was about; that it was there, and how it stood, remains."""
    run.deleted = True
    run.reason = event.data.get("reason")
    run.ended_ms = at_ms if run.ended_ms is None else run.ended_ms
    run.input = run.output = run.error = run.parent = run.resume_at = None
    run.state, run.labels, run.counters, run.usage = {}, {}, {}, {}
    run.nodes, run.calls, run.pauses, run.outcomes, run.signals = {}, {}, {}, {}, []
    run.watches, run.stored, run.stored_values = {}, {}, {}


def _paused(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    data = event.data
    pause_id, window_ms, waits_ms = data["pause_id"], data["window_ms"], data.get("wait_timeout_ms")
    # An id that is open or over already now means the new pause, which is the latest.
    run.pauses.pop(pause_id, None)
    run.outcomes.pop(pause_id, None)
    run.pauses[pause_id] = PauseState(
        pause_id=pause_id,
        version=event.version,
        node_id=data.get("node_id"),
        reason=data.get("reason"),
        resume_at=data.get("resume_at"),
        state=whole_state(run, event),
        window_ms=window_ms,
        on_expiry=data["on_expiry"],
        paused_ms=at_ms,
        expires_ms=None if window_ms is None else at_ms + window_ms,
        wait_for=data.get("wait_for") or [],
        wait_mode=data.get("wait_mode") or "any",
        times_out_ms=None if waits_ms is None else at_ms + waits_ms,
        stored=stored_in(event),
    )
    run.status = "paused"
    count(run, "pauses")
    _checkpoint(run, event, run.pauses[pause_id].state)


def _checkpoint_saved(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    state, stored = whole_state(run, event), stored_in(event)
    for pause in run.pauses.values():
        pause.state, pause.stored = state, stored
    _checkpoint(run, event, state)


def _checkpoint(run: RunState, event: RecordedEvent, state: dict[str, Any]) -> None:
    run.state, run.stored = state, stored_in(event)
    run.resume_at = event.data.get("resume_at")
    run.checkpoint_version = event.version
    forget_unused(run)


def _stored(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    run.stored_values[event.data["digest"]] = event.data["value"]


def _window_expired(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    pause = run.pauses.get(event.data["pause_id"])
    if pause:
        pause.expired = True


def _window_extended(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    pause = run.pauses.get(event.data["pause_id"])
    if not pause:
        return
    window_ms = event.data["window_ms"]
    pause.expires_ms = None if window_ms is None else at_ms + window_ms
    pause.window_ms = None if window_ms is None else max(0, at_ms + window_ms - pause.paused_ms)


def _restored(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    pause = run.pauses.get(event.data["pause_id"])
    if not pause:
        return
    pause.restored_ms = at_ms
    pause.restored_version = event.version
    if event.data.get("state") is not None:  # the workflow had changed, and a migration was made
        run.state = pause.state = whole_state(run, event)
        run.stored = pause.stored = stored_in(event)
        run.resume_at = pause.resume_at = event.data.get("resume_at")
        run.definition_hash = event.data.get("definition_hash")
        forget_unused(run)


def _resumed(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    data = event.data
    pause = run.pauses.get(data["pause_id"])
    if not pause:
        return
    run.paused_total_ms += waited_ms(pause, at_ms)
    _merge(run, data.get("patch"))
    _close_pause(run, pause.pause_id, data["cause"], event, at_ms)
    _consume(run, data.get("consumed"))
    if not run.pauses:
        run.status = "running"
        run.started_ms = at_ms if run.started_ms is None else run.started_ms


def waited_ms(pause: PauseState, until_ms: int) -> int:
    """Give how long a pause lasted; 0 where the clocks of two producers disagree."""
    return max(0, until_ms - pause.paused_ms)


def _close_pause(run: RunState, pause_id: str, cause: str, event: RecordedEvent, at: int) -> None:
    del run.pauses[pause_id]
    run.outcomes[pause_id] = PauseOutcome(cause, actor_of(event), at, event.version)


def actor_of(event: RecordedEvent) -> str | None:
    """Say who did it: the event's data may name an actor, else its meta."""
    actor = event.data.get("actor") or event.meta.get("actor")
    return actor if isinstance(actor, str) else None


def _patched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    _merge(run, event.data["patch"])
    _consume(run, event.data.get("consumed"))


def _consume(run: RunState, event_ids: list[str] | None) -> None:
    if event_ids:
        run.signals = [signal for signal in run.signals if signal.event_id not in event_ids]


def _merge(run: RunState, patch: dict[str, Any] | None) -> None:
    """Replace top-level keys of the state by the patch's; the old dictionary stays as it was.

    Each open pause goes on from its own checkpoint, so its state is patched as well.
    """
    if patch:
        run.state, run.stored = {**run.state, **patch}, without(run.stored, patch)
        for pause in run.pauses.values():
            pause.state = {**pause.state, **patch}
            pause.stored = without(pause.stored, patch)


def _signal_received(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    count(run, "signals")
    run.signals.append(
        SignalState(
            event.id, data["type"], data.get("payload"), data.get("source_id"), event.version
        )
    )


def _signal_dropped(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    event_id = event.data.get("event_id")
    _consume(run, [event_id] if event_id else None)


def _signal_watched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    conditions = data.get("conditions") or []
    run.watches[data["watch_id"]] = WatchState(
        data["watch_id"], data["type"], conditions, event.version
    )


def _signal_unwatched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    run.watches.pop(event.data["watch_id"], None)


def _node(run: RunState, event: RecordedEvent, at_ms: int) -> NodeState:
    """Find the node that an event names, or make it; node events start a pending run."""
    _started(run, event, at_ms)
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
    _merge(run, event.data.get("patch"))


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
    _started(run, event, at_ms)
    count(run, "calls")
    data = event.data
    call_id = data["call_id"]
    run.calls[call_id] = CallState(
        call_id, event.version, data.get("node_id"), data.get("kind"), data.get("name"), at_ms
    )


def _call_ended(run: RunState, event: RecordedEvent, at_ms: int) -> None:
    _started(run, event, at_ms)
    if run.calls.pop(event.data["call_id"], None) is None:
        count(run, "calls")  # nobody told of its start
    if event.type == "call.failed":
        count(run, "failures")
    usage = event.data.get("usage")
    if usage:
        add_usage(run.usage, usage)


def _recovered(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "recoveries")


def _logged(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "logs")


def _message_added(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "messages")


TRANSITIONS: dict[str, Transition] = {
    "run.created": _created,
    "run.started": _started,
    "run.completed": _completed,
    "run.failed": _failed,
    "run.aborted": _aborted,
    "run.deleted": _deleted,
    "run.paused": _paused,
    "run.window_expired": _window_expired,
    "run.window_extended": _window_extended,
    "run.restored": _restored,
    "run.resumed": _resumed,
    "run.patched": _patched,
    "run.recovered": _recovered,
    "checkpoint.saved": _checkpoint_saved,
    "state.stored": _stored,
    "signal.received": _signal_received,
    "signal.dropped": _signal_dropped,
    "signal.watched": _signal_watched,
    "signal.unwatched": _signal_unwatched,
    "node.queued": _node_queued,
    "node.started": _node_started,
    "node.completed": _node_completed,
    "node.failed": _node_failed,
    "node.retry_scheduled": _node_retry_scheduled,
    "node.skipped": _node_skipped,
    "call.started": _call_started,
    "call.completed": _call_ended,
    "call.failed": _call_ended,
    "log.emitted": _logged,
    "message.added": _message_added,
}
"""Types that are not listed count and change nothing else."""
