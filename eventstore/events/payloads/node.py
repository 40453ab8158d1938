"""What tells of nodes, and of the calls inside them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from eventstore.events.payloads.base import ErrorInfo, JsonObject, Name, Payload

MAX_ATTEMPT = 2**31 - 1


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
