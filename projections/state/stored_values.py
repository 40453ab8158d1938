"""The large values of a run's states: each is there once, however many states hold it.

A run keeps a value as long as its latest checkpoint or an open pause names it, so that whoever
makes the next checkpoint may name it too. A value that a patch replaced is not named any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eventstore.errors import CorruptEvent
from eventstore.events import RecordedEvent

if TYPE_CHECKING:
    from projections.state.run_state import RunState


def whole_state(run: RunState, event: RecordedEvent) -> dict[str, Any]:
    """Give the state that an event tells, with the values that it names.

    Raises ``CorruptEvent`` where the run does not keep one of them.
    """
    state: dict[str, Any] = event.data["state"]
    stored = stored_in(event)
    if not stored:
        return state
    missing = next((key for key in stored if stored[key] not in run.stored_values), None)
    if missing is not None:
        raise CorruptEvent(
            f"version {event.version} of run {event.run_id!r}",
            f"{missing!r} of its state is {stored[missing]}, which the run does not hold before it",
        )
    return {**state, **{key: run.stored_values[digest] for key, digest in stored.items()}}


def stored_in(event: RecordedEvent) -> dict[str, str]:
    """Give the keys of an event's state that were stored before, with their digests."""
    return event.data.get("stored") or {}


def forget_unused(run: RunState) -> None:
    """Let go the values that neither the latest checkpoint nor an open pause names."""
    if run.stored_values:
        used = {*run.stored.values()}.union(*(p.stored.values() for p in run.pauses.values()))
        kept = ((digest, value) for digest, value in run.stored_values.items() if digest in used)
        run.stored_values = dict(kept)


def without(stored: dict[str, str], patch: Mapping[str, Any]) -> dict[str, str]:
    """Give what is still named after a patch."""
    if not stored:
        return stored
    return {key: digest for key, digest in stored.items() if key not in patch}


def emptied(state: dict[str, Any], stored: Mapping[str, str]) -> dict[str, Any]:
    """Give a state with its stored values left out; their keys keep their places."""
    return {key: None if key in stored else value for key, value in state.items()}


def refill(state: dict[str, Any], stored: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Put stored values back into a state that was emptied."""
    for key, digest in stored.items():
        state[key] = values[digest]
