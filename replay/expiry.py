"""What restorers do about one timer that is due, as plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from eventstore import NewEvent, RecordedEvent, RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.appends import AppendResult
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import HANDOVER, WAIT, WINDOW, DueTimer, Timer, changes_of
from projections.state import PauseState, RunState, fold
from replay.adjusting import handed_over
from replay.context import FROM_OUTSIDE, RunContext, consumed_signals, others_at_work
from replay.decision import EXPIRED, Decision, decide, expiry_events
from replay.definitions import Definitions, migration_of
from replay.recording import MAX_CONFLICTS, append_and_apply
from replay.signals.receiving import timers_of
from replay.signals.waiting import timed_out

WITHOUT_WORKER = frozenset({EXPIRED, "signal", "timeout"})
"""The causes of resumes that no worker asked for: the run is handed to one."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A run for a worker, and the timer that hands it out again if this fails.

    ``late_ms`` is how long after its deadline that was recorded; None where it was before.
    """

    context: RunContext
    due: DueTimer
    late_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A window that ended without a restore, so many milliseconds late."""

    decision: Decision
    late_ms: int


Effect = Literal[Decision.WAIT] | Ended | Handover | None
"""What a due timer led to; None where somebody else was first."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a restorer works: as of which time (ms since 1970), and on what terms."""

    now_ms: int
    handover_ms: int
    definitions: Definitions | None = None


def take_effect(
    operations: Operations,
    due: DueTimer,
    now_ms: int,
    handover_ms: int,
    definitions: Definitions | None = None,
) -> Plan[Effect]:
    """Let a due timer take its effect, once, whoever else tries the same.

    Raises ``WrongExpectedVersion`` where others appended all the while, and
    ``DefinitionChanged``; it is due again then.
    """
    if due.timer.kind not in (WINDOW, WAIT, HANDOVER):
        return Decision.WAIT  # for those who know what it is about
    terms = Terms(now_ms, handover_ms, definitions)
    for _ in range(MAX_CONFLICTS):
        try:
            if due.timer.kind == HANDOVER:
                return (yield from _hand_over_again(operations, due, definitions))
            if due.timer.kind == WAIT:
                return (yield from _time_out(operations, due, terms))
            return (yield from _expire(operations, due, terms))
        except WrongExpectedVersion as conflict:
            lost = conflict
        except (RunClosed, RunNotFound):
            yield from operations.settle(due)
            return None
    raise lost


def _expire(operations: Operations, due: DueTimer, terms: Terms) -> Plan[Effect]:
    history = yield from operations.load(due.timer.run_id)
    state = fold(history)
    pause = state.pauses.get(due.timer.ref)
    decision = decide(pause, terms.now_ms) if pause else Decision.SETTLED
    if pause is None or decision is Decision.SETTLED:
        yield from operations.settle(due)
        return None
    if decision is Decision.WAIT:
        return Decision.WAIT
    if decision is not Decision.RESTORE:
        result = yield from append_and_apply(operations, state, expiry_events(pause, decision))
        return Ended(decision, _late_ms(pause, result))
    migration = migration_of(terms.definitions, history, pause)
    events = expiry_events(pause, decision, migration)
    return (yield from _restore(operations, state, pause, events, terms.handover_ms))


def _time_out(operations: Operations, due: DueTimer, terms: Terms) -> Plan[Effect]:
    """Let a pause go on without the signals that it waited for."""
    state = fold((yield from operations.load(due.timer.run_id)))
    pause = state.pauses.get(due.timer.ref)
    if pause is None or pause.times_out_ms is None:
        yield from operations.settle(due)
        return None
    if terms.now_ms < pause.times_out_ms:
        return Decision.WAIT
    events = timed_out(pause, terms.now_ms)
    timers = timers_of(state.run_id, events, pause, terms.now_ms, terms.handover_ms)
    result = yield from append_and_apply(operations, state, events, timers)
    return Ended(Decision.TIME_OUT, max(0, result.positions[-1].ms - pause.times_out_ms))


def _restore(
    operations: Operations,
    state: RunState,
    pause: PauseState,
    events: list[NewEvent],
    handover_ms: int,
) -> Plan[Handover]:
    """Record the restore; with it goes a timer that outlives this process until it is handed on."""
    run_id, pause_id = state.run_id, pause.pause_id
    timers = [*changes_of(run_id, events), *handed_over(run_id, pause_id, handover_ms)]
    result = yield from append_and_apply(operations, state, events, timers)
    recorded_ms = result.positions[-1].ms
    again_ms = recorded_ms + handover_ms
    due = DueTimer(Timer(HANDOVER, run_id, pause_id), again_ms, again_ms)
    return Handover(RunContext.after(state, pause), due, _late_ms(pause, result))


def _late_ms(pause: PauseState, result: AppendResult) -> int:
    recorded_ms = result.positions[-1].ms
    return recorded_ms - (recorded_ms if pause.expires_ms is None else pause.expires_ms)


def _hand_over_again(
    operations: Operations, due: DueTimer, definitions: Definitions | None
) -> Plan[Effect]:
    """Hand on what was restored and not taken, unless a worker has gone on with it."""
    events = yield from operations.load(due.timer.run_id)
    state = fold(events)
    outcome = state.outcomes.get(due.timer.ref)
    # Another cause means that the pause id was used again since.
    is_ours = outcome is not None and outcome.cause in WITHOUT_WORKER
    if outcome is None or not is_ours:
        yield from operations.settle(due)
        return None
    before, resumed = fold(events[: outcome.version - 1]), events[outcome.version - 1]
    pause = before.pauses[due.timer.ref]
    if _has_worker(events, pause, outcome.version):
        yield from operations.settle(due)
        return None
    for event in events[outcome.version - 1 :]:
        pause.state = {**pause.state, **(event.data.get("patch") or {})}
    signals = consumed_signals(before, resumed)
    context = RunContext.after(state, pause, resumed.data.get("answer"), signals)
    if definitions is not None:
        definitions.check(context.run_id, context.workflow_id, context.definition_hash)
    return Handover(context, due)


def _has_worker(events: Sequence[RecordedEvent], pause: PauseState, resumed: int) -> bool:
    """Say whether a worker has gone on since the resume; events from outside don't show that.

    One at the node where this branch goes on does. Another one may be of another branch: where
    one was at work already while this one paused, and as soon as another pause is over.
    """
    later = events[resumed:]
    nodes = [place for place in (pause.node_id, pause.resume_at) if isinstance(place, str)]
    if any(event.data.get("node_id") in nodes for event in later):
        return True
    if others_at_work(events, pause.version, resumed):
        return False
    ours = takewhile(lambda event: event.type != "run.resumed", later)
    return any(event.type not in FROM_OUTSIDE for event in ours)
