"""Appending to a run by what it is: plans that every change of a run is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eventstore import NO_RUN, NewEvent, RunNotFound, WrongExpectedVersion
from eventstore.appends import Append, AppendResult
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import TimerChange
from projections.state import RunState, fold
from replay.storing import is_inline, store_apart

MAX_CONFLICTS = 100
"""How often a change is decided anew because somebody else appended, before it gives up."""


def load_state(operations: Operations, run_id: str) -> Plan[RunState]:
    """Fold all of a run's events."""
    return fold((yield from operations.load(run_id)))


def append_and_apply(
    operations: Operations,
    state: RunState,
    events: Sequence[NewEvent],
    timers: Sequence[TimerChange] | None = None,
) -> Plan[AppendResult]:
    """Append to the run exactly where ``state`` stands, and bring the state up to date.

    Large values of states are stored before the events that tell them.
    """
    events = store_apart(state, events, operations.settings)
    asked = Append(state.run_id, events, state.version, timers=timers)
    result: AppendResult = yield asked
    for recorded in operations.decoder.recorded(events, result, state.workflow_id):
        state.apply(recorded)
    return result


def record(
    operations: Operations, run_id: str, event: NewEvent, expected: Any
) -> Plan[AppendResult]:
    """Append an event that tells a state; only a large one needs to know what its run holds."""
    if is_inline(event, operations.settings):
        return (yield Append(run_id, [event], expected))  # type: ignore[no-any-return]
    result, _ = yield from append_decided(operations, run_id, expected, lambda _: [event])
    return result


def append_decided(
    operations: Operations,
    run_id: str,
    expected: Any,
    decide: Callable[[RunState], Sequence[NewEvent]],
) -> Plan[tuple[AppendResult, RunState]]:
    """Append what the run's state says, decided anew when somebody else appended meanwhile.

    Gives the state after it. Raises as ``append`` does.
    """
    is_exact = isinstance(expected, int)
    for _ in range(MAX_CONFLICTS):
        try:
            state = yield from load_state(operations, run_id)
        except RunNotFound:
            state = RunState(run_id)
        events = decide(state)
        if not state.version or expected == NO_RUN or (is_exact and expected != state.version):
            # There is nothing to decide by, or the append says what is wrong.
            new = store_apart(RunState(run_id), events, operations.settings)
            return (yield Append(run_id, new, expected)), state
        try:
            return (yield from append_and_apply(operations, state, events)), state
        except WrongExpectedVersion as conflict:
            if is_exact:
                raise
            lost = conflict
    raise lost
