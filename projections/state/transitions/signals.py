"""Signals that a run keeps, and its watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.events import RecordedEvent
from projections.state.open_items import SignalState, WatchState
from projections.state.tallies import count
from projections.state.transitions.base import Transition, consume

if TYPE_CHECKING:
    from projections.state.run_state import RunState


def _signal_received(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    count(run, "signals")
    run.signals.append(
        SignalState(
            event.id, data["type"], data.get("payload"), data.get("source_id"), event.version
        )
    )


def _signal_dropped(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    event_id = event.data.get("event_id")
    consume(run, [event_id] if event_id else None)


def _signal_watched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    data = event.data
    conditions = data.get("conditions") or []
    run.watches[data["watch_id"]] = WatchState(
        data["watch_id"], data["type"], conditions, event.version
    )


def _signal_unwatched(run: RunState, event: RecordedEvent, _at_ms: int) -> None:
    run.watches.pop(event.data["watch_id"], None)


SIGNALS: dict[str, Transition] = {
    "signal.received": _signal_received,
    "signal.dropped": _signal_dropped,
    "signal.watched": _signal_watched,
    "signal.unwatched": _signal_unwatched,
}
