"""What reconcilers do about one run that gave no sign of life in time, as plans."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore import NewEvent, RecordedEvent, RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import (
    AFTER,
    HELD,
    RECOVERY,
    STALL,
    DueTimer,
    Timer,
    TimerChange,
    not_stalling,
)
from projections.state import RunState, fold
from replay.context import FROM_OUTSIDE, RunContext
from replay.expiry import Effect, Handover
from replay.recording import append_and_apply

RECOVERED = "run.recovered"


def recover(operations: Operations, due: DueTimer, handover_ms: int) -> Plan[Effect]:
    """Take a silent run from its worker, once; or hand on one that was taken before.

    Gives None where the run is not silent after all: it went on, paused or ended meanwhile.
    """
    run_id = due.timer.run_id
    try:
        events = yield from operations.load(run_id)
        state = fold(events)
        if due.timer.kind == RECOVERY:
            return (yield from _hand_on_again(operations, due, events, state))
        if due.timer.kind != STALL or state.pauses or state.ended_ms is not None:
            yield from operations.settle(due)
            return None
        return (yield from _take(operations, due, events, state, handover_ms))
    except (RunClosed, RunNotFound):
        yield from operations.settle(due)
        return None
    except WrongExpectedVersion:
        return None  # a sign of life after all: it has moved the deadline


def _take(
    operations: Operations,
    due: DueTimer,
    events: Sequence[RecordedEvent],
    state: RunState,
    handover_ms: int,
) -> Plan[Handover]:
    """Record the recovery, provided that nobody moved the deadline since it was found.

    With it goes a timer that outlives this process until the run is handed on.
    """
    run_id = due.timer.run_id
    data = {"reason": "no sign of life in time"}
    worker = _worker(events)
    recovered = NewEvent(RECOVERED, data if worker is None else data | {"from_worker": worker})
    handover = Timer(RECOVERY, run_id, "")
    timers = [
        TimerChange(HELD, due.timer, due.lease_until_ms),
        TimerChange(AFTER, handover, handover_ms),
        not_stalling(run_id),
    ]
    result = yield from append_and_apply(operations, state, [recovered], timers)
    recorded_ms = result.positions[-1].ms
    again_ms = recorded_ms + handover_ms
    again = DueTimer(handover, again_ms, again_ms)
    return Handover(RunContext.recovered(state), again, recorded_ms - due.due_ms)


def _hand_on_again(
    operations: Operations, due: DueTimer, events: Sequence[RecordedEvent], state: RunState
) -> Plan[Effect]:
    """Hand on what a reconciler that died left behind, unless somebody has gone on with it."""
    last = max((e.version for e in events if e.type == RECOVERED), default=0)
    later = events[last:]
    is_taken = any(event.type not in FROM_OUTSIDE for event in later)
    if not last or is_taken or state.pauses or state.ended_ms is not None:
        yield from operations.settle(due)
        return None
    return Handover(RunContext.recovered(state), due)


def _worker(events: Sequence[RecordedEvent]) -> str | None:
    """Give the worker that took the run last, where it told its name."""
    named = (e.data.get("worker") for e in reversed(events) if e.type == "run.started")
    return next((name for name in named if isinstance(name, str)), None)
