"""What is said: log lines, and messages in an agent's thread."""

from __future__ import annotations

from typing import Any

from eventstore.events.payloads.base import JsonObject, Name, Payload


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
