"""What the end of a pause window means. Pure: no store, no clock."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from eventstore import NewEvent
from projections.state import PauseState

EXPIRED = "window_expired"
"""The cause of a resume by the end of the window."""


class Decision(StrEnum):
    """What is to be done about a pause."""

    WAIT = "wait"
    """Its window has not ended."""
    SETTLED = "settled"
    """Its window ended before, and that was recorded."""
    RESTORE = "restore"
    """Rebuild the run and go on."""
    PARK = "park"
    """Drop the live context; stay paused until somebody resumes."""
    FAIL = "fail"
    """End the run as failed."""
    ABORT = "abort"
    """End the run as aborted."""


def decide(pause: PauseState, now_ms: int) -> Decision:
    """Say what is to be done about an open pause at ``now_ms``, in ms since 1970.

    A window ends at the millisecond it names: then, and not one before, it is over.
    """
    if pause.expired:
        return Decision.SETTLED
    if pause.expires_ms is None or now_ms < pause.expires_ms:
        return Decision.WAIT
    return Decision(pause.on_expiry)


def expiry_events(pause: PauseState, decision: Decision) -> list[NewEvent]:
    """Give the events that record the end of a window and what it causes."""
    expired = NewEvent("run.window_expired", {"pause_id": pause.pause_id})
    if decision is Decision.RESTORE:
        return [expired, *restore_events(pause), _resumed(pause)]
    if decision is Decision.FAIL:
        error = {"type": "PauseWindowExpired", "message": _message(pause)}
        return [expired, NewEvent("run.failed", {"error": error})]
    if decision is Decision.ABORT:
        return [expired, NewEvent("run.aborted", {"reason": _message(pause)})]
    return [expired]


def restore_events(pause: PauseState) -> list[NewEvent]:
    """Give the event that records a restore; none where it is recorded already."""
    if pause.restored_version is not None:
        return []
    data = {"pause_id": pause.pause_id, "checkpoint_version": pause.version}
    return [NewEvent("run.restored", data)]


def _resumed(pause: PauseState) -> NewEvent:
    data: dict[str, Any] = {"pause_id": pause.pause_id, "cause": EXPIRED, "patch": {}}
    return NewEvent("run.resumed", data)


def _message(pause: PauseState) -> str:
    return f"the pause window of {pause.pause_id} ended after {pause.window_ms} ms"
