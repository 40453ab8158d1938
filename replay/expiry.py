"""What restorers do about one timer that is due, as plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from eventstore import NewEvent, RecordedEvent, RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import (
    AFTER,
    HANDOVER,
    WINDOW,
    DueTimer,
    Timer,
    TimerChange,
    changes_of,
)
from projections.state import PauseState, RunState, fold
from replay.context import RunContext
from replay.decision import EXPIRED, Decision, decide, expiry_events
from replay.pausing import MAX_CONFLICTS, append_and_apply, load_state

FROM_OUTSIDE = frozenset(
    {"run.window_expired", "run.restored", "run.resumed", "run.patched", "signal.received"}
)
"""Events that reach a run without a worker of its own: they don't show that it has one."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A restored run for a worker, and the timer that hands it out again if this fails."""

    context: RunContext
    due: DueTimer


Effect = Decision | Handover | None
"""What a due timer led to; None where somebody else was first."""


def take_effect(
    operations: Operations, due: DueTimer, now_ms: int, handover_ms: int
) -> Plan[Effect]:
    """Let a due timer take its effect, once, whoever else tries the same.

    Raises ``WrongExpectedVersion`` where others appended all the while; it is due again then.
    """
    if due.timer.kind not in (WINDOW, HANDOVER):
        return Decision.WAIT  # for those who know what it is about
    for _ in range(MAX_CONFLICTS):
        try:
            if due.timer.kind == HANDOVER:
                return (yield from _hand_over_again(operations, due))
            return (yield from _expire(operations, due, now_ms, handover_ms))
        except WrongExpectedVersion as conflict:
            lost = conflict
        except (RunClosed, RunNotFound):
            yield from operations.settle(due)
            return None
    raise lost


def _expire(operations: Operations, due: DueTimer, now_ms: int, handover_ms: int) -> Plan[Effect]:
    state = yield from load_state(operations, due.timer.run_id)
    pause = state.pauses.get(due.timer.ref)
    decision = decide(pause, now_ms) if pause else Decision.SETTLED
    if pause is None or decision is Decision.SETTLED:
        yield from operations.settle(due)
        return None
    if decision is Decision.WAIT:
        return decision
    events = expiry_events(pause, decision)
    if decision is not Decision.RESTORE:
        yield from append_and_apply(operations, state, events)
        return decision
    return (yield from _restore(operations, state, pause, events, handover_ms))


def _restore(
    operations: Operations,
    state: RunState,
    pause: PauseState,
    events: list[NewEvent],
    handover_ms: int,
) -> Plan[Handover]:
    """Record the restore; with it goes a timer that outlives this process until it is handed on."""
    timer = Timer(HANDOVER, state.run_id, pause.pause_id)
    timers = [*changes_of(state.run_id, events), TimerChange(AFTER, timer, handover_ms)]
    result = yield from append_and_apply(operations, state, events, timers)
    recorded_ms = result.positions[-1].ms
    due = DueTimer(timer, recorded_ms + handover_ms, recorded_ms + handover_ms)
    return Handover(RunContext.after(state, pause), due)


def _hand_over_again(operations: Operations, due: DueTimer) -> Plan[Effect]:
    """Hand on what a restorer that died left behind, unless a worker has gone on with it."""
    events = yield from operations.load(due.timer.run_id)
    state = fold(events)
    outcome = state.outcomes.get(due.timer.ref)
    # Another cause means that the pause id was used again since.
    if not outcome or outcome.cause != EXPIRED or _has_worker(events[outcome.version :]):
        yield from operations.settle(due)
        return None
    pause = fold(events[: outcome.version - 1]).pauses[due.timer.ref]
    for event in events[outcome.version - 1 :]:
        pause.state = {**pause.state, **event.data.get("patch", {})}
    return Handover(RunContext.after(state, pause), due)


def _has_worker(later: Sequence[RecordedEvent]) -> bool:
    """Say whether a worker has appended since; once another pause is over, that may be its own."""
    ours = takewhile(lambda event: event.type != "run.resumed", later)
    return any(event.type not in FROM_OUTSIDE for event in ours)
