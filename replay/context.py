"""What a worker gets to go on with a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from eventstore import RecordedEvent
from projections.state import PauseState, RunState, SignalState, fold

FROM_OUTSIDE = frozenset(
    {
        "run.window_expired",
        "run.window_extended",
        "run.restored",
        "run.resumed",
        "run.patched",
        "signal.received",
        "signal.dropped",
        "signal.watched",
        "signal.unwatched",
        "state.stored",
    }
)
"""Events that reach a run without a worker of its own: they don't show that it has one."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run that goes on: its state, where to go on, and the fence.

    Append with ``expected=version``: whoever took the run over since has moved the version, and
    that append is refused. ``restored`` says that the pause window had ended, so that the
    context was rebuilt from the checkpoint and the events after it. ``answer`` is that of a
    decision, ``signals`` are those that the resume consumed. A run that was taken from a silent
    worker comes with the cause ``recovered`` and without a pause: it goes on from its latest
    checkpoint.
    """

    run_id: str
    version: int
    workflow_id: str | None
    pause_id: str | None
    cause: str
    actor: str | None
    state: dict[str, Any]
    resume_at: Any
    node_id: str | None
    input: Any
    restored: bool
    answer: Any = None
    definition_hash: str | None = None
    signals: tuple[SignalState, ...] = ()

    @classmethod
    def after(
        cls,
        state: RunState,
        pause: PauseState,
        answer: Any = None,
        signals: tuple[SignalState, ...] = (),
    ) -> Self:
        """Give the context of a run right after the resume of ``pause``."""
        outcome = state.outcomes[pause.pause_id]
        return cls(
            run_id=state.run_id,
            version=state.version,
            workflow_id=state.workflow_id,
            pause_id=pause.pause_id,
            cause=outcome.cause,
            actor=outcome.actor,
            state=pause.state,
            resume_at=pause.resume_at,
            node_id=pause.node_id,
            input=state.input,
            restored=pause.restored_version is not None,
            answer=answer,
            definition_hash=state.definition_hash,
            signals=signals,
        )

    @classmethod
    def recovered(cls, state: RunState) -> Self:
        """Give the context of a run that was taken from a silent worker."""
        return cls(
            run_id=state.run_id,
            version=state.version,
            workflow_id=state.workflow_id,
            pause_id=None,
            cause="recovered",
            actor=None,
            state=state.state,
            resume_at=state.resume_at,
            node_id=None,
            input=state.input,
            restored=False,
            definition_hash=state.definition_hash,
        )


def consumed_signals(before: RunState, resumed: RecordedEvent) -> tuple[SignalState, ...]:
    """Give the signals that a resume consumes, of those that the run kept before it."""
    consumed = resumed.data.get("consumed") or ()
    return tuple(signal for signal in before.signals if signal.event_id in consumed)


def others_at_work(events: Sequence[RecordedEvent], paused: int, resumed: int) -> bool:
    """Say whether other branches of a run were at work while a pause was open.

    Then what was appended later may be theirs. The pause was open between these versions.
    """
    return any(
        event.type == "run.resumed" or event.type.startswith(("node.", "call."))
        for event in events[paused : resumed - 1]
    )


def context_since(events: Sequence[RecordedEvent], version: int) -> RunContext:
    """Give the context of the resume at ``version``, for its worker, from all of a run's events.

    It is as the run stands now, unless a worker has gone on with it since: then it is as it was
    right after the resume, and whoever appends with it is refused.
    """
    resumed, later = events[version - 1], events[version:]
    if any(event.type not in FROM_OUTSIDE for event in later):
        later = []
    before = fold(events[: version - 1])
    signals = consumed_signals(before, resumed)
    pause = before.pauses[resumed.data["pause_id"]]
    for event in (resumed, *later):
        before.apply(event)
        pause.state = {**pause.state, **(event.data.get("patch") or {})}
    return RunContext.after(before, pause, resumed.data.get("answer"), signals)
