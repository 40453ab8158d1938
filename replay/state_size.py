"""Finds what makes a state too large for one event."""

from __future__ import annotations

import orjson

from eventstore import NewEvent, StateTooLarge


def check_size(run_id: str, event: NewEvent, limit_bytes: int) -> None:
    """Raise ``StateTooLarge`` naming the largest key of an event's state, if it is too large."""
    size_bytes = len(event.encoded)
    state = event.data.get("state")
    if size_bytes <= limit_bytes or not state:
        return
    sizes = {key: len(orjson.dumps(value)) for key, value in state.items()}
    largest = max(sizes, key=lambda key: sizes[key])
    raise StateTooLarge(run_id, largest, sizes[largest], size_bytes, limit_bytes)
