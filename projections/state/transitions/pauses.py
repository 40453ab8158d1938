"""How a run pauses and goes on, and what becomes of its state then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.events import RecordedEvent
from projections.state.pause_state import PauseState
from projections.state.stored_values import forget_unused, stored_in, whole_state
from projections.state.tallies import count
from projections.state.transitions.base import Transition, close_pause, consume, merge

if TYPE_CHECKING:
    from projections.state.run_state import RunState


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
    merge(run, data.get("patch"))
    close_pause(run, pause.pause_id, data["cause"], event, at_ms)
    consume(run, data.get("consumed"))
    if not run.pauses:
        run.status = "running"
        run.started_ms = at_ms if run.started_ms is None else run.started_ms


def waited_ms(pause: PauseState, until_ms: int) -> int:
    """Give how long a pause lasted; 0 where the clocks of two producers disagree."""
    return max(0, until_ms - pause.paused_ms)


def _patched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    merge(run, event.data["patch"])
    consume(run, event.data.get("consumed"))


PAUSES: dict[str, Transition] = {
    "run.paused": _paused,
    "run.window_expired": _window_expired,
    "run.window_extended": _window_extended,
    "run.restored": _restored,
    "run.resumed": _resumed,
    "run.patched": _patched,
    "checkpoint.saved": _checkpoint_saved,
    "state.stored": _stored,
}
