"""What tells of pauses: how a run comes to wait, and how it goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from eventstore.events.conditions import MAX_CONDITIONS, Condition
from eventstore.events.payloads.base import (
    JsonObject,
    Milliseconds,
    Name,
    Payload,
    SignalType,
    Stored,
)

MAX_WAITED_FOR = 100
"""A pause waits for at most so many signals."""

OnExpiry = Literal["restore", "park", "fail", "abort"]
ResumeCause = Literal["manual", "signal", "decision", "window_expired", "timeout", "cancelled"]


class WaitFor(Payload):
    """A signal type that a pause waits for; all conditions must hold.

    ``into`` names the key of the state that the signal's payload is put under.
    """

    type: SignalType
    conditions: list[Condition] = Field([], max_length=MAX_CONDITIONS)
    into: Name | None = None


class RunPaused(Payload):
    """``run.paused``: the run waits. After ``window_ms`` its live context is dropped.

    ``window_ms`` counts from the event's ``occurred_at``; 0 expires at once, None never.
    """

    pause_id: Name
    node_id: Name | None = None
    reason: str | None = None
    resume_at: Any = None
    state: JsonObject
    stored: Stored | None = None
    window_ms: Milliseconds | None
    on_expiry: OnExpiry
    wait_for: Annotated[list[WaitFor], Field(max_length=MAX_WAITED_FOR)] | None = None
    wait_mode: Literal["any", "all"] | None = None
    wait_timeout_ms: Milliseconds | None = None
    decision_schema: JsonObject | None = None


class RunWindowExpired(Payload):
    """``run.window_expired``: the pause window ended before anybody resumed."""

    pause_id: Name


class RunWindowExtended(Payload):
    """``run.window_extended``: the pause window now ends so long after this event; None never."""

    pause_id: Name
    window_ms: Milliseconds | None
    actor: str | None = None


class RunRestored(Payload):
    """``run.restored``: the context was rebuilt from the checkpoint at that version.

    Where the workflow had changed meanwhile, it holds what a migration made of the checkpoint:
    ``state``, ``resume_at``, and the definition they are for.
    """

    pause_id: Name
    checkpoint_version: Annotated[int, Field(ge=1)]
    worker: str | None = None
    definition_hash: str | None = None
    state: JsonObject | None = None
    stored: Stored | None = None


class RunResumed(Payload):
    """``run.resumed``: the pause is over; ``patch`` goes into the state."""

    pause_id: Name
    cause: ResumeCause
    patch: JsonObject = Field({})
    actor: str | None = None
    consumed: list[str] | None = None
