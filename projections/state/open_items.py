"""What a run has open besides pauses: calls that run, signals that wait, and its watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class CallState:
    """A tool, model or HTTP call that has started and not ended."""

    call_id: str
    version: int
    node_id: str | None
    kind: str | None
    name: str | None
    started_ms: int


@dataclass(slots=True)
class SignalState:
    """A signal that was received and that no resume has consumed yet."""

    event_id: str
    type: str
    payload: Any
    source_id: str | None
    version: int


@dataclass(slots=True)
class WatchState:
    """Signals that a run takes whether it is paused or not, on some conditions."""

    watch_id: str
    type: str
    conditions: list[dict[str, Any]]
    version: int
