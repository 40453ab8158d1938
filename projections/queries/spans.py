"""A run's nodes, calls and pauses as intervals of time: what a Gantt chart draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from eventstore.events import ENDS

SpanKind = Literal["node", "call", "pause"]


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something went on; ``end`` is None while it does.

    A node that starts anew has a span for each start. ``status`` of nodes and calls is
    ``running``, ``completed``, ``failed``, ``skipped`` or ``restarted``; of pauses ``open``,
    ``expired`` or ``resumed``; of all, ``ended`` where the run ended first.
    """

    kind: SpanKind
    id: str
    label: str | None
    start: datetime
    end: datetime | None
    status: str


class Entry(Protocol):
    """What of an event a span is made of."""

    @property
    def type(self) -> str:
        """The event's type."""

    @property
    def occurred_at(self) -> datetime:
        """When it occurred."""

    @property
    def data(self) -> dict[str, Any]:
        """Its data."""


_OPENING: dict[str, tuple[SpanKind, str]] = {
    "node.started": ("node", "running"),
    "call.started": ("call", "running"),
    "run.paused": ("pause", "open"),
}
_CLOSING: dict[str, tuple[SpanKind, str]] = {
    "node.completed": ("node", "completed"),
    "node.failed": ("node", "failed"),
    "node.skipped": ("node", "skipped"),
    "call.completed": ("call", "completed"),
    "call.failed": ("call", "failed"),
    "run.resumed": ("pause", "resumed"),
}
_LABELS = {"node": "label", "call": "name", "pause": "reason"}

_Key = tuple[SpanKind, str, str | None]


def spans_of(entries: Iterable[Entry]) -> list[Span]:
    """Give the spans of one run's events, which come in order; sorted by their start."""
    found = _Spans()
    for entry in entries:
        found.take(entry)
    return sorted(found.spans, key=lambda span: span.start)


class _Spans:
    """The spans so far, and the place among them of those that still run."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._running: dict[_Key, int] = {}

    def take(self, entry: Entry) -> None:
        if entry.type in _OPENING:
            self._open(entry, *_OPENING[entry.type])
        elif entry.type in _CLOSING:
            self._close(entry, *_CLOSING[entry.type])
        elif entry.type == "run.window_expired":
            self._set(_key("pause", entry), None, "expired")
        elif entry.type in ENDS:
            for key in self._running:
                self._set(key, entry.occurred_at, "ended")
            self._running.clear()

    def _open(self, entry: Entry, kind: SpanKind, status: str) -> None:
        key = _key(kind, entry)
        self._set(key, entry.occurred_at, "restarted")
        self._running[key] = len(self.spans)
        self.spans.append(_span(kind, entry, None, status))

    def _close(self, entry: Entry, kind: SpanKind, status: str) -> None:
        key = _key(kind, entry)
        if key in self._running:
            self._set(key, entry.occurred_at, status)
            del self._running[key]
        elif kind != "pause":  # a node may be skipped, or completed without having started
            self.spans.append(_span(kind, entry, entry.occurred_at, status))

    def _set(self, key: _Key, end: datetime | None, status: str) -> None:
        place = self._running.get(key)
        if place is not None:
            self.spans[place] = replace(self.spans[place], end=end, status=status)


def _key(kind: SpanKind, entry: Entry) -> _Key:
    """Name what a span is of; a node may run several times side by side."""
    activation_id = entry.data.get("activation_id") if kind == "node" else None
    return (kind, entry.data[f"{kind}_id"], activation_id)


def _span(kind: SpanKind, entry: Entry, end: datetime | None, status: str) -> Span:
    label = entry.data.get(_LABELS[kind])
    return Span(
        kind=kind,
        id=entry.data[f"{kind}_id"],
        label=label if isinstance(label, str) else None,
        start=entry.occurred_at,
        end=end,
        status=status,
    )
