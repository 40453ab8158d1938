"""How runs are paused, and how pauses are ended, as plans that both forms of ``RunControl`` run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from eventstore import (
    RUN_EXISTS,
    AlreadyResumed,
    InvalidArgument,
    NewEvent,
    OutcomeUnknown,
    PauseNotFound,
    RecordedEvent,
    RunClosed,
    WrongExpectedVersion,
)
from eventstore.appends import AppendResult
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.events.identifiers import new_id
from eventstore.events.payloads import MAX_WINDOW_MS
from eventstore.operations import Operations
from eventstore.plan import Plan
from projections.state import PauseState, RunState, fold
from replay.context import RunContext, context_since
from replay.decision import EXPIRED, expired_event, restore_events
from replay.definitions import Definitions, migration_of
from replay.recording import MAX_CONFLICTS, append_and_apply, record

Window = timedelta | float | None
"""A duration or seconds; 0 ends at once, None never."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause that was recorded. ``expires_at`` is None for a window without end.

    ``context`` is what to go on with where signals that the run kept have ended the pause at once.
    """

    run_id: str
    pause_id: str
    version: int
    expires_at: datetime | None
    context: RunContext | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How somebody wants to end a pause.

    ``attempt_id`` becomes the id of the event: who comes again with it has won already.
    """

    cause: str
    patch: dict[str, Any] | None = None
    actor: str | None = None
    attempt_id: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """What the event tells, but for the pause."""
        actor = {} if self.actor is None else {"actor": self.actor}
        patch = {} if self.patch is None else self.patch
        return {"cause": self.cause, "patch": patch, **actor, **self.more}


Record = Callable[[Operations, str, NewEvent, Any], Plan[tuple[AppendResult, RunContext | None]]]
"""Appends a ``run.paused``, and what else there is to record with it."""

Check = Callable[[list[RecordedEvent], PauseState], Plan[None]]
"""Raises if an open pause may not be ended so."""


def window_in_ms(window: Window) -> int | None:
    """Give a window in whole milliseconds. Raises ``InvalidArgument`` for one that can't be."""
    if window is None:
        return None
    seconds = window.total_seconds() if isinstance(window, timedelta) else window
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise InvalidArgument(f"window must be seconds, a timedelta or None, not {window!r}")
    if not 0 <= seconds <= MAX_WINDOW_MS / 1000:  # NaN is not either
        raise InvalidArgument(f"window must be from 0 to a century, not {seconds:,} seconds")
    return round(seconds * 1000)


def pause(
    operations: Operations,
    run_id: str,
    data: dict[str, Any],
    window: Window,
    pause_id: str | None,
    expected: Any,
    meta: dict[str, Any] | None,
    recording: Record | None = None,
) -> Plan[Paused]:
    """Record a pause and, with it, the timer of its window."""
    window_ms = window_in_ms(window)
    pause_id = new_id() if pause_id is None else pause_id
    event = NewEvent(
        "run.paused", {"pause_id": pause_id, "window_ms": window_ms, **data}, meta=meta
    )
    asked = RUN_EXISTS if expected is None else expected
    result, context = yield from (recording or _record)(operations, run_id, event, asked)
    version = result.last_version - (context is not None)  # before the resume, if there is one
    recorded_ms = result.positions[0].ms
    expires_at = None if window_ms is None else from_ms(recorded_ms + window_ms)
    return Paused(run_id, pause_id, version, expires_at, context)


def _record(
    operations: Operations, run_id: str, event: NewEvent, expected: Any
) -> Plan[tuple[AppendResult, RunContext | None]]:
    return (yield from record(operations, run_id, event, expected)), None


def resume(
    operations: Operations,
    run_id: str,
    patch: dict[str, Any] | None,
    pause_id: str | None,
    cause: str,
    actor: str | None,
    attempt_id: str | None = None,
    definitions: Definitions | None = None,
) -> Plan[RunContext]:
    """End a pause: exactly one of all that try wins, and the others learn who did."""
    if cause == EXPIRED:
        raise InvalidArgument(f"the cause {EXPIRED!r} is for restorers, when a window has ended")
    ending = Ending(cause, patch, actor, attempt_id)
    return (yield from end_pause(operations, run_id, pause_id, ending, definitions))


def end_pause(
    operations: Operations,
    run_id: str,
    pause_id: str | None,
    ending: Ending,
    definitions: Definitions | None = None,
    check: Check | None = None,
) -> Plan[RunContext]:
    """End a pause in some way; the one winner gets the context to go on with."""
    attempt_id = new_id() if ending.attempt_id is None else ending.attempt_id
    for _ in range(MAX_CONFLICTS):
        events = yield from operations.load(run_id)
        won = _won_before(events, attempt_id) if ending.attempt_id is not None else None
        if won is not None:
            return won
        state = fold(events)
        paused = open_pause(state, pause_id)
        if check is not None:
            yield from check(events, paused)
        late = yield from _late_events(events, paused, definitions)
        data = {"pause_id": paused.pause_id, **ending.data}
        resumed = NewEvent("run.resumed", data, id=attempt_id)
        try:
            yield from append_and_apply(operations, state, [*late, resumed])
        except WrongExpectedVersion as conflict:
            lost = conflict
        except OutcomeUnknown as unknown:
            unknown.attempt_id = attempt_id
            raise
        else:
            return RunContext.after(state, paused, ending.more.get("answer"))
    raise lost


def _won_before(events: list[RecordedEvent], attempt_id: str) -> RunContext | None:
    """Give the context of a resume that an earlier call of the same attempt recorded."""
    for event in reversed(events):
        if event.id == attempt_id and event.type == "run.resumed":
            return context_since(events, event.version)
    return None


def _late_events(
    events: list[RecordedEvent], paused: PauseState, definitions: Definitions | None
) -> Plan[list[NewEvent]]:
    """Give what must be recorded first: the end of a window that is over, and the restore.

    A live context is of no use to a definition that changed: it is restored, too.
    """
    migration = migration_of(definitions, events, paused)
    is_over = paused.expired
    if not is_over and paused.expires_ms is not None:
        (now_ms,) = yield [server_time()]
        is_over = now_ms >= paused.expires_ms
    if not is_over:
        return restore_events(paused, migration) if migration else []
    expired = [] if paused.expired else [expired_event(paused)]
    return [*expired, *restore_events(paused, migration)]


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
