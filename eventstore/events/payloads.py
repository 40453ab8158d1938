"""What the built-in event types carry in ``data``, as pydantic models.

Fields beyond these are kept as they came. What the store itself acts on (ids, windows, expiry)
is required and strictly typed; what only people read may be left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from eventstore.events.conditions import MAX_CONDITIONS, Condition, without_controls
from eventstore.events.identifiers import MAX_NAME_BYTES
from eventstore.events.stored_values import STORED, Digest, value_digest

MAX_WINDOW_MS = 100 * 366 * 24 * 3_600_000
"""A pause window is at most a century."""

MAX_ATTEMPT = 2**31 - 1
MAX_WAITED_FOR = 100
"""A pause waits for at most so many signals."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_BYTES)]
SignalType = Annotated[Name, AfterValidator(without_controls)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_WINDOW_MS)]
OnExpiry = Literal["restore", "park", "fail", "abort"]
ResumeCause = Literal["manual", "signal", "decision", "window_expired", "timeout", "cancelled"]
JsonObject = dict[str, Any]
Stored = dict[str, Digest]
"""The keys of a state whose values were stored before, each with the digest of its value."""


class Payload(BaseModel):
    """The base of all typed event data."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class ErrorInfo(Payload):
    """What went wrong, as an event tells it."""

    type: str
    message: str
    stack: str | None = None


class WaitFor(Payload):
    """A signal type that a pause waits for; all conditions must hold.

    ``into`` names the key of the state that the signal's payload is put under.
    """

    type: SignalType
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS)] = []
    into: Name | None = None


class RunOptions(Payload):
    """What a run asks of the store.

    A run with ``stall_after_ms`` is recovered when it is silent for so long; 0 or None: never.
    """

    stall_after_ms: Milliseconds | None = None


class RunCreated(Payload):
    """``run.created``: the run exists, with its input.

    ``parent`` is the run that it came from; a fork of it says up to which version it has its
    events, ``parent_version``.
    """

    input: Any = None
    parent: Name | None = None
    parent_version: Annotated[int, Field(ge=1)] | None = None
    labels: dict[str, Any] | None = None
    definition_hash: str | None = None
    options: RunOptions | None = None


class RunStarted(Payload):
    """``run.started``: a worker took the run."""

    worker: str | None = None
    options: RunOptions | None = None


class RunCompleted(Payload):
    """``run.completed``: the run ended well. Final."""

    output: Any = None


class RunFailed(Payload):
    """``run.failed``: the run ended with an error. Final."""

    error: ErrorInfo


class RunAborted(Payload):
    """``run.aborted``: somebody ended the run. Final."""

    reason: str | None = None


class RunDeleted(Payload):
    """``run.deleted``: the run is to be forgotten; the only event that may follow an end."""

    reason: str | None = None


class RunRecovered(Payload):
    """``run.recovered``: the run was taken from a worker that went silent."""

    reason: str | None = None
    from_worker: str | None = None


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
    patch: JsonObject = {}
    actor: str | None = None
    consumed: list[str] | None = None


class RunPatched(Payload):
    """``run.patched``: a change of the running run's state, by the signals that it consumed."""

    patch: JsonObject
    consumed: list[str] | None = None


class SignalReceived(Payload):
    """``signal.received``: an outside event delivered to the run."""

    type: Name
    payload: Any = None
    source_id: str | None = None


class SignalDropped(Payload):
    """``signal.dropped``: the buffer was full. Names what was dropped, or what was not taken."""

    rule: Literal["oldest", "newest"]
    event_id: str | None = None
    type: Name
    source_id: str | None = None


class SignalWatched(Payload):
    """``signal.watched``: from now on the run takes signals of this type, whoever they are for."""

    watch_id: Name
    type: SignalType
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS)] = []


class SignalUnwatched(Payload):
    """``signal.unwatched``: the run takes no more signals by that watch."""

    watch_id: Name


class NodeEvent(Payload):
    """What every ``node.*`` event carries."""

    node_id: Name
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPT)] | None = None
    activation_id: str | None = None
    inputs: Any = None


class NodeCompleted(NodeEvent):
    """``node.completed``: with what it gave, and how it changes the state."""

    output: Any = None
    patch: JsonObject | None = None
    duration_ms: Annotated[float, Field(ge=0)] | None = None


class NodeFailed(NodeEvent):
    """``node.failed``: this attempt failed."""

    error: ErrorInfo
    will_retry: bool = False


class NodeRetryScheduled(NodeEvent):
    """``node.retry_scheduled``: the next attempt is planned."""

    at: str | None = None


class CallEvent(Payload):
    """A tool, model or HTTP call inside a node."""

    call_id: Name
    node_id: Name | None = None
    kind: str | None = None
    name: str | None = None
    input: Any = None
    output: Any = None
    usage: JsonObject | None = None
    error: ErrorInfo | None = None
    parent_call_id: str | None = None


class CheckpointSaved(Payload):
    """``checkpoint.saved``: a state from which the run can go on."""

    state: JsonObject
    stored: Stored | None = None
    resume_at: Any = None


class StateStored(Payload):
    """``state.stored``: a value that the states of later events name in ``stored``."""

    digest: Digest
    value: Any

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        if value_digest(self.value) != self.digest:
            raise ValueError("the digest is not that of the value")
        return self


class LogEmitted(Payload):
    """``log.emitted``: a line of the run's log."""

    level: str = "info"
    message: str
    fields: JsonObject | None = None
    node_id: Name | None = None


class MessageAdded(Payload):
    """``message.added``: a message in an agent's thread."""

    thread_id: Name
    role: str
    content: Any = None
    tool_calls: list[Any] | None = None
    tool_results: list[Any] | None = None


PAYLOADS: dict[str, type[Payload]] = {
    "run.created": RunCreated,
    "run.started": RunStarted,
    "run.completed": RunCompleted,
    "run.failed": RunFailed,
    "run.aborted": RunAborted,
    "run.deleted": RunDeleted,
    "run.recovered": RunRecovered,
    "run.paused": RunPaused,
    "run.window_expired": RunWindowExpired,
    "run.window_extended": RunWindowExtended,
    "run.restored": RunRestored,
    "run.resumed": RunResumed,
    "run.patched": RunPatched,
    "signal.received": SignalReceived,
    "signal.dropped": SignalDropped,
    "signal.watched": SignalWatched,
    "signal.unwatched": SignalUnwatched,
    "node.queued": NodeEvent,
    "node.started": NodeEvent,
    "node.completed": NodeCompleted,
    "node.failed": NodeFailed,
    "node.retry_scheduled": NodeRetryScheduled,
    "node.skipped": NodeEvent,
    "call.started": CallEvent,
    "call.completed": CallEvent,
    "call.failed": CallEvent,
    "checkpoint.saved": CheckpointSaved,
    STORED: StateStored,
    "log.emitted": LogEmitted,
    "message.added": MessageAdded,
}
"""The model of each built-in type's data."""

ENDS = frozenset({"run.completed", "run.failed", "run.aborted"})
"""After one of these a run is closed; only ``run.deleted`` may follow."""

DELETED = "run.deleted"
