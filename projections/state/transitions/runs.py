"""How a run begins, ends, is deleted, and what is counted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.events import RecordedEvent
from projections.state.stored_values import forget_unused
from projections.state.tallies import count
from projections.state.transitions.base import Transition, close_pause, started

if TYPE_CHECKING:
    from projections.state.run_state import RunState, RunStatus


def _created(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    run.input = data.get("input")
    run.parent = data.get("parent")
    run.labels = data.get("labels") or {}
    run.definition_hash = data.get("definition_hash")


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
        close_pause(run, pause_id, "run_ended", event, at_ms)
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


def _recovered(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "recoveries")


def _logged(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "logs")


def _message_added(run: RunState, _event: RecordedEvent, _at_ms: int) -> None:
    count(run, "messages")


RUNS: dict[str, Transition] = {
    "run.created": _created,
    "run.started": started,
    "run.completed": _completed,
    "run.failed": _failed,
    "run.aborted": _aborted,
    "run.deleted": _deleted,
    "run.recovered": _recovered,
    "log.emitted": _logged,
    "message.added": _message_added,
}
