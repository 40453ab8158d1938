"""What a worker gets to go on with a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from projections.state import PauseState, RunState


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run that goes on: its state, where to go on, and the fence.

    Append with ``expected=version``: whoever took the run over since has moved the version, and
    that append is refused. ``restored`` says that the pause window had ended, so that the
    context was rebuilt from the checkpoint and the events after it.
    """

    run_id: str
    version: int
    workflow_id: str | None
    pause_id: str
    cause: str
    actor: str | None
    state: dict[str, Any]
    resume_at: Any
    node_id: str | None
    input: Any
    restored: bool

    @classmethod
    def after(cls, state: RunState, pause: PauseState) -> Self:
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
        )
