"""How runs are paused and resumed, as plans that both forms of ``RunControl`` run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from eventstore import (
    RUN_EXISTS,
    AlreadyResumed,
    InvalidArgument,
    NewEvent,
    PauseNotFound,
    RunClosed,
    WrongExpectedVersion,
)
from eventstore.appends import Append, AppendResult
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.events.identifiers import new_id
from eventstore.events.payloads import MAX_WINDOW_MS
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import TimerChange
from projections.state import PauseState, RunState, fold
from replay.context import RunContext
from replay.decision import EXPIRED, restore_events

MAX_CONFLICTS = 100
"""How often a change is decided anew because somebody else appended, before it gives up."""

Window = timedelta | float | None
"""A duration or seconds; 0 ends at once, None never."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause that was recorded. ``expires_at`` is None for a window without end."""

    run_id: str
    pause_id: str
    version: int
    expires_at: datetime | None


def window_in_ms(window: Window) -> int | None:
    """Give a window in whole milliseconds. Raises ``InvalidArgument`` for one that can't be."""
    if window is None:
        return None
    seconds = window.total_seconds() if isinstance(window, timedelta) else window
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise InvalidArgument(f"window must be seconds, a timedelta or None, not {window!r}")
    if not 0 <= seconds <= MAX_WINDOW_MS / 1000:  # NaN is not either
        raise InvalidArgument(f"window must be from 0 to a century, not {window!r}")
    return round(seconds * 1000)


def pause(
    run_id: str,
    data: dict[str, Any],
    window: Window,
    pause_id: str | None,
    expected: Any,
    meta: dict[str, Any] | None,
) -> Plan[Paused]:
    """Record a pause and, with it, the timer of its window."""
    window_ms = window_in_ms(window)
    pause_id = new_id() if pause_id is None else pause_id
    event = NewEvent(
        "run.paused", {"pause_id": pause_id, "window_ms": window_ms, **data}, meta=meta
    )
    asked = RUN_EXISTS if expected is None else expected
    result: AppendResult = yield Append(run_id, [event], asked)
    recorded_ms = result.positions[0].ms
    expires_at = None if window_ms is None else from_ms(recorded_ms + window_ms)
    return Paused(run_id, pause_id, result.last_version, expires_at)


def resume(
    operations: Operations,
    run_id: str,
    patch: dict[str, Any] | None,
    pause_id: str | None,
    cause: str,
    actor: str | None,
) -> Plan[RunContext]:
    """End a pause: exactly one of all that try wins, and the others learn who did."""
    if cause == EXPIRED:
        raise InvalidArgument(f"the cause {EXPIRED!r} is for restorers, when a window has ended")
    data: dict[str, Any] = {"cause": cause, "patch": {} if patch is None else patch}
    if actor is not None:
        data["actor"] = actor
    for _ in range(MAX_CONFLICTS):
        state = yield from load_state(operations, run_id)
        paused = open_pause(state, pause_id)
        resumed = NewEvent("run.resumed", {"pause_id": paused.pause_id, **data})
        events = [*(yield from _late_events(paused)), resumed]
        try:
            yield from append_and_apply(operations, state, events)
        except WrongExpectedVersion as conflict:
            lost = conflict
        else:
            return RunContext.after(state, paused)
    raise lost


def _late_events(paused: PauseState) -> Plan[list[NewEvent]]:
    """Give what must be recorded first when the window is over: its end, and the restore."""
    if not paused.expired:
        if paused.expires_ms is None:
            return []
        (now_ms,) = yield [server_time()]
        if now_ms < paused.expires_ms:
            return []
    expired = NewEvent("run.window_expired", {"pause_id": paused.pause_id})
    return ([] if paused.expired else [expired]) + restore_events(paused)


def open_pause(state: RunState, pause_id: str | None) -> PauseState:
    """Find the pause that is meant: the named one, else the only open one.

    Raises ``RunClosed``, ``AlreadyResumed`` or ``PauseNotFound``.
    """
    if state.ended_ms is not None:
        raise RunClosed(state.run_id, state.version)
    if pause_id is None and len(state.pauses) == 1:
        return next(iter(state.pauses.values()))
    if pause_id in state.pauses:
        return state.pauses[pause_id]
    if not state.pauses and pause_id is None and state.outcomes:
        pause_id = max(state.outcomes, key=lambda known: state.outcomes[known].version)
    outcome = state.outcomes.get(pause_id or "")
    if outcome is None or pause_id is None:
        raise PauseNotFound(state.run_id, pause_id, tuple(state.pauses))
    raise AlreadyResumed(state.run_id, pause_id, outcome.cause, outcome.actor)


def load_state(operations: Operations, run_id: str) -> Plan[RunState]:
    """Fold all of a run's events."""
    return fold((yield from operations.load(run_id)))


def append_and_apply(
    operations: Operations,
    state: RunState,
    events: Sequence[NewEvent],
    timers: Sequence[TimerChange] | None = None,
) -> Plan[AppendResult]:
    """Append to the run exactly where ``state`` stands, and bring the state up to date."""
    asked = Append(state.run_id, events, state.version, timers=timers)
    result: AppendResult = yield asked
    for recorded in operations.decoder.recorded(events, result, state.workflow_id):
        state.apply(recorded)
    return result
