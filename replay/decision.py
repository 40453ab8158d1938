"""What the end of a pause window means. Pure: no store, no clock."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Any

from eventstore import NewEvent
from projections.state import PauseState
from replay.definitions import Migration

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
    TIME_OUT = "time_out"
    """Go on without what was waited for."""


def decide(pause: PauseState, now_ms: int) -> Decision:
    """Say what is to be done about an open pause at ``now_ms``, in ms since 1970.

    A window ends at the millisecond it names: then, and not one before, it is over.
    """
    if pause.expired:
        return Decision.SETTLED
    if pause.expires_ms is None or now_ms < pause.expires_ms:
        return Decision.WAIT
    return Decision(pause.on_expiry)


def expired_event(pause: PauseState) -> NewEvent:
    """Give the event that records the end of a window."""
    return NewEvent("run.window_expired", {"pause_id": pause.pause_id})


def expiry_events(
    pause: PauseState, decision: Decision, migration: Migration | None = None
) -> list[NewEvent]:
    """Give the events that record the end of a window and what it causes."""
    expired = expired_event(pause)
    if decision is Decision.RESTORE:
        return [expired, *restore_events(pause, migration), _resumed(pause)]
    if decision is Decision.FAIL:
        error = {"type": "PauseWindowExpired", "message": _message(pause)}
        return [expired, NewEvent("run.failed", {"error": error})]
    if decision is Decision.ABORT:
        return [expired, NewEvent("run.aborted", {"reason": _message(pause)})]
    return [expired]


def restore_events(pause: PauseState, migration: Migration | None = None) -> list[NewEvent]:
    """Give the event that records a restore; none where it is recorded already.

    A checkpoint that was migrated is recorded with it.
    """
    data: dict[str, Any] = {"pause_id": pause.pause_id, "checkpoint_version": pause.version}
    if migration is not None:
        data |= asdict(migration)
    elif pause.restored_version is not None:
        return []
    return [NewEvent("run.restored", data)]


def _resumed(pause: PauseState) -> NewEvent:
    data: dict[str, Any] = {"pause_id": pause.pause_id, "cause": EXPIRED, "patch": {}}
    return NewEvent("run.resumed", data)


def _message(pause: PauseState) -> str:
    return f"the pause window of {pause.pause_id} ended after {pause.window_ms} ms"
