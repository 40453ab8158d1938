"""A pause of a run: while it is open, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class PauseState:
    """An open pause. Its window counts from ``paused_ms``, when the run paused.

    ``version`` is that of the ``run.paused`` event, and so of its checkpoint. ``state`` is that
    checkpoint with all later patches: what this pause goes on from, also where others are open
    beside it; ``stored`` names the values of it that ``RunState.stored_values`` has, by their keys.
    ``expires_ms`` is None for a window without end; ``restored_version`` is that of the latest
    ``run.restored``. ``wait_for`` names the signals that end it, any or all of them by
    ``wait_mode``, and ``times_out_ms`` when it no longer waits for them; None is never. Times are
    milliseconds since 1970.
    """

    pause_id: str
    version: int
    node_id: str | None
    reason: str | None
    resume_at: Any
    state: dict[str, Any]
    window_ms: int | None
    on_expiry: str
    paused_ms: int
    expires_ms: int | None
    expired: bool = False
    restored_ms: int | None = None
    restored_version: int | None = None
    wait_for: list[dict[str, Any]] = field(default_factory=list)
    wait_mode: str = "any"
    times_out_ms: int | None = None
    stored: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class PauseOutcome:
    """How a pause ended: by what, by whom, when (milliseconds since 1970), at which version.

    ``cause`` is that of ``run.resumed``, or ``run_ended`` where the run ended while paused.
    """

    cause: str
    actor: str | None
    at_ms: int
    version: int
