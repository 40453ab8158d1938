"""What a signal does to one run. Pure: no store, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eventstore import NewEvent, RunClosed
from eventstore.errors import SignalBufferFull
from eventstore.timers import TimerChange, changes_of
from projections.state import PauseState, RunState, SignalState
from replay.adjusting import handed_over
from replay.decision import expired_event, restore_events
from replay.signals.matching import Satisfied, satisfied
from replay.signals.signal import Signal

WhenFull = Literal["refuse", "oldest", "newest"]
Outcome = Literal["resumed", "buffered", "patched", "dropped", "duplicate"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How signals are delivered; see ``RunControl.deliver``."""

    patch: bool
    when_full: WhenFull
    max_buffered: int
    handover_ms: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Reception:
    """What is to be recorded of a signal: its own event first. ``ended`` is what it resumes."""

    outcome: Outcome
    events: Sequence[NewEvent]
    ended: Satisfied | None = None


def receive(state: RunState, signal: Signal, rules: Rules, now_ms: int) -> Reception:
    """Decide what a signal does to a run.

    Raises ``RunClosed``, or ``SignalBufferFull`` where the run keeps as many as it may.
    """
    if state.ended_ms is not None:
        raise RunClosed(state.run_id, state.version)
    event = signal.event()
    last = SignalState(event.id, signal.type, signal.payload, signal.source_id, state.version + 1)
    ended = satisfied(state, [*state.signals, last])
    if ended:
        patch = signal.payload if rules.patch else {}
        return Reception("resumed", [event, *resuming(ended, now_ms, patch)], ended)
    if rules.patch:
        patched = {"patch": signal.payload, "consumed": [event.id]}
        return Reception("patched", [event, NewEvent("run.patched", patched)])
    return _buffered(state, event, rules)


def _buffered(state: RunState, event: NewEvent, rules: Rules) -> Reception:
    over = len(state.signals) + 1 - rules.max_buffered
    if over <= 0:
        return Reception("buffered", [event])
    if rules.when_full == "oldest":
        dropped = [
            _dropped("oldest", s.type, s.source_id, s.event_id) for s in state.signals[:over]
        ]
        return Reception("buffered", [event, *dropped])
    if rules.when_full == "newest":
        data = event.data
        return Reception("dropped", [_dropped("newest", data["type"], data.get("source_id"))])
    raise SignalBufferFull(state.run_id, rules.max_buffered)


def _dropped(
    rule: str, signal_type: str, source_id: str | None, event_id: str | None = None
) -> NewEvent:
    data = {"rule": rule, "type": signal_type, "source_id": source_id, "event_id": event_id}
    given = {name: value for name, value in data.items() if value is not None}
    return NewEvent("signal.dropped", given)


def resuming(ended: Satisfied, now_ms: int, patch: dict[str, Any] | None = None) -> list[NewEvent]:
    """Give the events by which signals end a pause."""
    data = {
        "pause_id": ended.pause.pause_id,
        "cause": "signal",
        "patch": ended.patch | (patch or {}),
        "consumed": [signal.event_id for signal in ended.signals],
    }
    return [*late_events(ended.pause, now_ms), NewEvent("run.resumed", data)]


def late_events(pause: PauseState, now_ms: int) -> list[NewEvent]:
    """Give what is recorded before a resume when the window is over: its end, and the restore."""
    if not is_over(pause, now_ms):
        return []
    return ([] if pause.expired else [expired_event(pause)]) + restore_events(pause)


def is_over(pause: PauseState, now_ms: int) -> bool:
    """Say whether a pause's window has ended, recorded or not."""
    return pause.expired or (pause.expires_ms is not None and now_ms >= pause.expires_ms)


def timers_of(
    run_id: str, events: Sequence[NewEvent], pause: PauseState, now_ms: int, handover_ms: int
) -> list[TimerChange]:
    """Give the timers of a resume that no worker made: a restorer hands the run to one.

    While the window is open, whoever holds the live context has ``handover_ms`` to go on first.
    """
    wait_ms = 0 if is_over(pause, now_ms) else handover_ms
    return [*changes_of(run_id, events), *handed_over(run_id, pause.pause_id, wait_ms)]
