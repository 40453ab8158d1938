"""What the built-in event types carry in ``data``, as pydantic models.

Fields beyond these are kept as they came. What the store itself acts on (ids, windows, expiry)
is required and strictly typed; what only people read may be left out.
"""

from __future__ import annotations

from eventstore.events.payloads.base import (
    MAX_WINDOW_MS,
    ErrorInfo,
    JsonObject,
    Milliseconds,
    Name,
    Payload,
    SignalType,
    Stored,
)
from eventstore.events.payloads.message import LogEmitted, MessageAdded
from eventstore.events.payloads.node import (
    MAX_ATTEMPT,
    CallEvent,
    NodeCompleted,
    NodeEvent,
    NodeFailed,
    NodeRetryScheduled,
)
from eventstore.events.payloads.pause import (
    MAX_WAITED_FOR,
    OnExpiry,
    ResumeCause,
    RunPaused,
    RunRestored,
    RunResumed,
    RunWindowExpired,
    RunWindowExtended,
    WaitFor,
)
from eventstore.events.payloads.run import (
    RunAborted,
    RunCompleted,
    RunCreated,
    RunDeleted,
    RunFailed,
    RunOptions,
    RunRecovered,
    RunStarted,
)
from eventstore.events.payloads.signal import (
    SignalDropped,
    SignalReceived,
    SignalUnwatched,
    SignalWatched,
)
from eventstore.events.payloads.state import CheckpointSaved, RunPatched, StateStored
from eventstore.events.stored_values import STORED

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

__all__ = [
    "DELETED",
    "ENDS",
    "MAX_ATTEMPT",
    "MAX_WAITED_FOR",
    "MAX_WINDOW_MS",
    "PAYLOADS",
    "CallEvent",
    "CheckpointSaved",
    "ErrorInfo",
    "JsonObject",
    "LogEmitted",
    "MessageAdded",
    "Milliseconds",
    "Name",
    "NodeCompleted",
    "NodeEvent",
    "NodeFailed",
    "NodeRetryScheduled",
    "OnExpiry",
    "Payload",
    "ResumeCause",
    "RunAborted",
    "RunCompleted",
    "RunCreated",
    "RunDeleted",
    "RunFailed",
    "RunOptions",
    "RunPatched",
    "RunPaused",
    "RunRecovered",
    "RunRestored",
    "RunResumed",
    "RunStarted",
    "RunWindowExpired",
    "RunWindowExtended",
    "SignalDropped",
    "SignalReceived",
    "SignalType",
    "SignalUnwatched",
    "SignalWatched",
    "StateStored",
    "Stored",
    "WaitFor",
]
