"""What several transitions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eventstore.events import RecordedEvent
from projections.state.pause_state import PauseOutcome
from projections.state.stored_values import without

if TYPE_CHECKING:
    from projections.state.run_state import RunState

Transition = Callable[["RunState", RecordedEvent, int], None]
"""Changes a run's state by an event, which occurred so many ms since 1970."""


def actor_of(event: RecordedEvent) -> str | None:
    """Say who did it: the event's data may name an actor, else its meta."""
    actor = event.data.get("actor") or event.meta.get("actor")
    return actor if isinstance(actor, str) else None


def started(run: RunState, _event: RecordedEvent, at_ms: int) -> None:
    """Let a run that is pending run."""
    if run.started_ms is None:
        run.started_ms = at_ms
    if run.status == "pending":
        run.status = "running"


def close_pause(run: RunState, pause_id: str, cause: str, event: RecordedEvent, at: int) -> None:
    """End a pause, and note how."""
    del run.pauses[pause_id]
    run.outcomes[pause_id] = PauseOutcome(cause, actor_of(event), at, event.version)


def consume(run: RunState, event_ids: list[str] | None) -> None:
    """Let go of signals that were kept."""
    if event_ids:
        run.signals = [signal for signal in run.signals if signal.event_id not in event_ids]


def merge(run: RunState, patch: dict[str, Any] | None) -> None:
    """Replace top-level keys of the state by the patch's; the old dictionary stays as it was.

    Each open pause goes on from its own checkpoint, so its state is patched as well.
    """
    if patch:
        run.state, run.stored = {**run.state, **patch}, without(run.stored, patch)
        for pause in run.pauses.values():
            pause.state = {**pause.state, **patch}
            pause.stored = without(pause.stored, patch)
