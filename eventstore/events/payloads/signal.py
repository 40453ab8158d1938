"""What tells of signals, and of who watches for them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eventstore.events.conditions import MAX_CONDITIONS, Condition
from eventstore.events.payloads.base import Name, Payload, SignalType


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
    conditions: list[Condition] = Field([], max_length=MAX_CONDITIONS)


class SignalUnwatched(Payload):
    """``signal.unwatched``: the run takes no more signals by that watch."""

    watch_id: Name
