"""Large states: what is recorded so that their large values lie in their run once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from eventstore import NewEvent, Settings, StateTooLarge
from eventstore.events import STORED, value_digest
from projections.state import RunState

WITH_STATE = frozenset({"run.paused", "run.restored", "checkpoint.saved"})
"""The events that tell a state."""
_SHARE = 32
"""A value is stored for itself if it takes this part of what may lie in an event, or more."""


def is_inline(event: NewEvent, settings: Settings) -> bool:
    """Say whether an event is small enough to be recorded as it is."""
    return event.type not in WITH_STATE or len(event.encoded) <= _inline_bytes(settings)


def store_apart(run: RunState, events: Sequence[NewEvent], settings: Settings) -> list[NewEvent]:
    """Give events as they are recorded behind ``run``: before each, the values that it needs.

    Values that the run keeps are named again and not stored again. Raises ``StateTooLarge``.
    """
    held = set(run.stored_values)
    recorded: list[NewEvent] = []
    for event in events:
        if is_inline(event, settings):
            recorded.append(event)
            continue
        told, values = _taken_apart(run.run_id, event, held, settings)
        recorded += [_stored(digest, values[digest]) for digest in values if digest not in held]
        recorded.append(told)
        held = set(values)  # whatever else the run keeps, this checkpoint may let go
    return recorded


def _taken_apart(
    run_id: str, event: NewEvent, held: set[str], settings: Settings
) -> tuple[NewEvent, dict[str, Any]]:
    """Give an event that names the large values of its state, and those values by digest."""
    state: dict[str, Any] = event.data.get("state") or {}
    sizes = {key: len(orjson.dumps(value)) for key, value in state.items()}
    size_bytes = sum(sizes.values())
    if size_bytes > settings.max_state_bytes:
        raise _too_large(run_id, sizes, size_bytes, settings.max_state_bytes)
    stored = _chosen(state, sizes, held, settings)
    limit_bytes = settings.max_event_bytes
    for key, digest in stored.items():
        value_bytes = len(_stored(digest, state[key]).encoded)
        if value_bytes > limit_bytes:
            raise _too_large(run_id, {key: sizes[key]}, value_bytes, limit_bytes)
    rest = {key: value for key, value in state.items() if key not in stored}
    if stored:
        event = event.model_copy(update={"data": {**event.data, "state": rest, "stored": stored}})
    if rest and len(event.encoded) > limit_bytes:
        raise _too_large(run_id, {k: sizes[k] for k in rest}, len(event.encoded), limit_bytes)
    return event, {digest: state[key] for key, digest in stored.items()}


def _chosen(
    state: Mapping[str, Any], sizes: Mapping[str, int], held: set[str], settings: Settings
) -> dict[str, str]:
    """Choose what does not lie in the event: what the run holds, then the largest values.

    Half of what one append takes is left to the events themselves.
    """
    inline_bytes = _inline_bytes(settings)
    left = sum(sizes.values())
    if left <= inline_bytes:
        return {}
    digests = {
        key: value_digest(state[key]) for key in sizes if sizes[key] >= inline_bytes // _SHARE
    }
    stored: dict[str, str] = {}
    for key in sorted(digests, key=lambda key: (digests[key] not in held, -sizes[key], key)):
        is_enough = left <= inline_bytes or len(stored) >= settings.max_append_events // 2
        if not is_enough or digests[key] in held:
            stored[key] = digests[key]
            left -= sizes[key]
    return stored


def _inline_bytes(settings: Settings) -> int:
    return min(settings.inline_state_bytes, settings.max_event_bytes // 2)


def _stored(digest: str, value: Any) -> NewEvent:
    return NewEvent(STORED, {"digest": digest, "value": value})


def _too_large(
    run_id: str, sizes: Mapping[str, int], size_bytes: int, limit_bytes: int
) -> StateTooLarge:
    largest = max(sizes, key=lambda key: sizes[key])
    return StateTooLarge(run_id, largest, sizes[largest], size_bytes, limit_bytes)
