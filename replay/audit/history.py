"""Who did what to a run, when, and what it came of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from eventstore import RecordedEvent
from projections.state.transitions import actor_of

Link = Literal["causation", "implied"]
"""``causation``: the event names the other's id in its ``causation_id``. ``implied``: it belongs
to the same pause, call or attempt, which the other one began."""

_BEGINNINGS = {
    "run.paused": "pause_id",
    "call.started": "call_id",
    "node.queued": "queued",
    "node.started": "node_id",
}
_NAMES = ("pause_id", "call_id", "node_id", "queued")
_LOOKED_UP = {
    "run.paused": ("node_id",),
    "node.queued": (),
    "node.started": ("queued",),
}
"""By which beginnings an event may be explained; by any of them where none are named."""
_FIELDS = {"queued": "node_id"}


@dataclass(frozen=True, slots=True)
class Deed:
    """An event in its place in the tree of causes.

    ``cause`` is the version of the event that it comes of, ``link`` says how that is known, and
    ``depth`` how many stand above it. A ``causation_id`` that is none of this run's is left to
    the reader: the cause lies outside.
    """

    version: int
    depth: int
    type: str
    actor: str | None
    occurred_at: datetime
    recorded_at: datetime
    about: str | None
    event_id: str
    correlation_id: str | None
    causation_id: str | None
    cause: int | None
    link: Link | None


def history_of(events: Iterable[RecordedEvent]) -> list[Deed]:
    """Put a run's events into the tree of their causes, each below its own, else in order."""
    known: dict[str, int] = {}
    begun: dict[tuple[str, str], int] = {}
    deeds: dict[int, RecordedEvent] = {}
    causes: dict[int, tuple[int, Link]] = {}
    below: dict[int, list[int]] = {}
    for event in events:
        cause = _cause(event, known, begun)
        if cause is not None:
            causes[event.version] = cause
        below.setdefault(cause[0] if cause else 0, []).append(event.version)
        deeds[event.version] = event
        known.setdefault(event.id, event.version)
        _begin(event, begun)
    return [
        _deed(deeds[version], depth, causes.get(version)) for version, depth in _in_order(below)
    ]


def _cause(
    event: RecordedEvent, known: dict[str, int], begun: dict[tuple[str, str], int]
) -> tuple[int, Link] | None:
    """Find what an event comes of: only earlier ones can be its cause."""
    named = known.get(str(event.meta.get("causation_id")))
    if named is not None:
        return named, "causation"
    for name in _LOOKED_UP.get(event.type, _NAMES):
        place = begun.get((name, str(event.data.get(_FIELDS.get(name, name)))))
        if place is not None:
            return place, "implied"
    return None


def _begin(event: RecordedEvent, begun: dict[tuple[str, str], int]) -> None:
    """Note what an event begins, and what it ends."""
    node = str(event.data.get("node_id"))
    name = _BEGINNINGS.get(event.type)
    if name is not None:
        begun[name, str(event.data.get(_FIELDS.get(name, name)))] = event.version
    if event.type == "node.started":
        begun.pop(("queued", node), None)
    elif event.type in ("node.completed", "node.skipped"):
        begun.pop(("node_id", node), None)


def _in_order(below: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    """Walk the tree from its roots, without recursion: chains of causes can be long."""
    waiting = [(version, 0) for version in reversed(below.get(0, []))]
    while waiting:
        version, depth = waiting.pop()
        yield version, depth
        waiting += [(further, depth + 1) for further in reversed(below.get(version, []))]


def _deed(event: RecordedEvent, depth: int, cause: tuple[int, Link] | None) -> Deed:
    return Deed(
        version=event.version,
        depth=depth,
        type=event.type,
        actor=actor_of(event),
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        about=_about(event.data),
        event_id=event.id,
        correlation_id=_text(event.meta.get("correlation_id")),
        causation_id=_text(event.meta.get("causation_id")),
        cause=cause[0] if cause else None,
        link=cause[1] if cause else None,
    )


def _about(data: dict[str, Any]) -> str | None:
    """Say which node, call, pause or signal it is about."""
    for name in ("node_id", "call_id", "pause_id", "type", "worker", "reason"):
        found = data.get(name)
        if isinstance(found, str):
            return found
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
