"""What is done to an open pause, or to a run, from outside: extend, expire, cancel, abort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from eventstore import (
    RUN_EXISTS,
    NewEvent,
    PauseExpired,
    RecordedEvent,
    RunNotFound,
    WrongExpectedVersion,
)
from eventstore.appends import Append, AppendResult
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import AFTER, HANDOVER, Timer, TimerChange, changes_of, not_stalling
from projections.state import PauseState, RunState, fold
from replay.decision import Decision, expiry_events
from replay.definitions import Definitions, migration_of
from replay.pausing import Paused, Window, open_pause, window_in_ms
from replay.recording import MAX_CONFLICTS, append_and_apply

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Expired:
    """A window that was made to end: what that led to, recorded at ``version``."""

    run_id: str
    pause_id: str
    version: int
    effect: Decision


Change = Callable[[list[RecordedEvent], RunState, PauseState], Plan[T]]


def _change_pause(
    operations: Operations, run_id: str, pause_id: str | None, change: Change[T]
) -> Plan[T]:
    """Change an open pause; decide anew while others append."""
    for _ in range(MAX_CONFLICTS):
        events = yield from operations.load(run_id)
        state = fold(events)
        try:
            return (yield from change(events, state, open_pause(state, pause_id)))
        except WrongExpectedVersion as conflict:
            lost = conflict
    raise lost


def extend(
    operations: Operations, run_id: str, window: Window, pause_id: str | None, actor: str | None
) -> Plan[Paused]:
    """Let a pause's window end so long from now, if it has not ended yet."""
    window_ms = window_in_ms(window)

    def change(_: list[RecordedEvent], state: RunState, pause: PauseState) -> Plan[Paused]:
        (now_ms,) = yield [server_time()]
        if pause.expired or (pause.expires_ms is not None and now_ms >= pause.expires_ms):
            ended_at = None if pause.expires_ms is None else from_ms(min(now_ms, pause.expires_ms))
            raise PauseExpired(run_id, pause.pause_id, ended_at)
        data: dict[str, Any] = {"pause_id": pause.pause_id, "window_ms": window_ms}
        extended = NewEvent("run.window_extended", data | _named(actor))
        result = yield from append_and_apply(operations, state, [extended])
        ends_at = None if pause.expires_ms is None else from_ms(pause.expires_ms)
        return Paused(run_id, pause.pause_id, result.last_version, ends_at)

    return (yield from _change_pause(operations, run_id, pause_id, change))


def expire(
    operations: Operations, run_id: str, pause_id: str | None, definitions: Definitions | None
) -> Plan[Expired]:
    """Let a pause's window end now. What is restored, restorers hand to a worker."""

    def change(events: list[RecordedEvent], state: RunState, pause: PauseState) -> Plan[Expired]:
        if pause.expired:
            ended_at = None if pause.expires_ms is None else from_ms(pause.expires_ms)
            raise PauseExpired(run_id, pause.pause_id, ended_at)
        effect = Decision(pause.on_expiry)
        migration = None
        if effect is Decision.RESTORE:
            migration = migration_of(definitions, events, pause)
        new = expiry_events(pause, effect, migration)
        timers = changes_of(run_id, new)
        if effect is Decision.RESTORE:
            timers += handed_over(run_id, pause.pause_id, 0)
        result = yield from append_and_apply(operations, state, new, timers)
        return Expired(run_id, pause.pause_id, result.last_version, effect)

    return (yield from _change_pause(operations, run_id, pause_id, change))


def handed_over(run_id: str, pause_id: str, handover_ms: int) -> list[TimerChange]:
    """Give the timers of a restored run, which outlive whoever restored it.

    Until a worker took it, it is handed over again, and counts as stalled for nobody.
    """
    return [
        TimerChange(AFTER, Timer(HANDOVER, run_id, pause_id), handover_ms),
        not_stalling(run_id),
    ]


def abort(run_id: str, reason: str | None, actor: str | None) -> Plan[int]:
    """End a run, whatever it does; gives the version of its end."""
    aborted = NewEvent("run.aborted", {"reason": reason}, meta=_named(actor))
    try:
        result: AppendResult = yield Append(run_id, [aborted], RUN_EXISTS)
    except WrongExpectedVersion:
        raise RunNotFound(run_id) from None
    return result.last_version


def _named(actor: str | None) -> dict[str, str]:
    return {} if actor is None else {"actor": actor}
