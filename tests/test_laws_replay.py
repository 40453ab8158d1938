"""Laws of pausing and restoring, over generated histories and schedules, on real servers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from histories import histories, objects, texts, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replaying import (
    HOUR,
    appending,
    interleaved,
    restoring,
    timers,
)

from eventstore import AlreadyResumed, EventStore, NewEvent, RunClosed, SyncEventStore
from eventstore.clock import from_ms
from eventstore.events.identifiers import new_id
from eventstore.plan import Plan
from projections.state import RunState, fold
from replay import (
    RunContext,
    SyncRestorer,
    SyncRunControl,
    SyncTimeTravel,
    pausing,
)

ON_A_REAL_SERVER = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
PAUSES = {"run.paused", "run.window_expired", "run.restored", "run.resumed"}
LAST = {"run.completed", "run.failed", "run.aborted", "run.deleted"}

meanwhile = st.lists(
    st.one_of(
        st.builds(lambda patch: ("run.patched", {"patch": patch}), objects),
        st.builds(
            lambda patch: ("node.completed", {"node_id": "write", "patch": patch}),
            st.none() | objects,
        ),
        st.builds(lambda state: ("checkpoint.saved", {"state": state}), objects),
        st.builds(lambda payload: ("signal.received", {"type": "t", "payload": payload}), values),
        st.builds(lambda text: ("log.emitted", {"message": text}), texts),
        st.builds(lambda data: ("order.shipped", data), objects),
    ),
    max_size=6,
)
"""What may happen to a run while it waits."""


def expected_state(state: dict[str, Any], later: list[tuple[str, dict[str, Any]]]) -> Any:
    """Say what a context must hold, without the fold: the checkpoint and the later patches."""
    for kind, data in later:
        if kind == "checkpoint.saved":
            state = data["state"]
        elif patch := data.get("patch") if kind != "order.shipped" else None:
            state = state | patch
    return state


# Law 4


@pytest.mark.parametrize("way", ["restorer", "late resume", "resume"])
@settings(max_examples=15, **ON_A_REAL_SERVER)
@given(history=histories(max_events=8), state=objects, later=meanwhile, patch=objects, at=values)
def test_a_restored_context_is_that_of_the_pause_with_the_later_patches(
    sync_store: SyncEventStore,
    way: str,
    history: list[NewEvent],
    state: dict[str, Any],
    later: list[tuple[str, dict[str, Any]]],
    patch: dict[str, Any],
    at: Any,
) -> None:
    # given a run with any history that pauses, and whatever happens to it then
    run_id = new_id()
    control = SyncRunControl(sync_store)
    sync_store.append(run_id, [e for e in history if e.type not in PAUSES | LAST])
    paused = control.pause(
        run_id,
        state=state,
        resume_at=at,
        window=HOUR if way == "resume" else 0,
        on_expiry="restore",
    )
    if later:
        sync_store.append(run_id, [NewEvent(kind, data) for kind, data in later])
    # when it goes on, one way or another
    if way == "restorer":
        handed: list[RunContext] = []
        SyncRestorer(sync_store, handed.append).run_once()
        (context,) = handed
        patch = {}
    else:
        context = control.resume(run_id, patch)
    # then nothing of it is missing, and nothing of it came from elsewhere
    assert context.state == expected_state(state, later) | patch
    assert context.resume_at == at
    assert context.restored == (way != "resume")
    # and a reader finds the very same
    found = SyncTimeTravel(sync_store).state_at(run_id)
    assert (found.state, found.version) == (context.state, context.version)
    at_the_pause = SyncTimeTravel(sync_store).state_at(run_id, paused.version)
    assert at_the_pause.state == state


@settings(max_examples=15, **ON_A_REAL_SERVER)
@given(state=objects, later=meanwhile, rounds=st.integers(2, 4))
def test_restoring_twice_is_restoring_once(
    sync_store: SyncEventStore,
    state: dict[str, Any],
    later: list[tuple[str, dict[str, Any]]],
    rounds: int,
) -> None:
    # given a run that was restored
    run_id = new_id()
    data = {"pause_id": "p", "state": state, "window_ms": 0, "on_expiry": "restore"}
    happened = [("run.created", {}), ("run.paused", data), *later]
    sync_store.append(run_id, [NewEvent(kind, fields) for kind, fields in happened])
    handed: list[RunContext] = []
    restorer = SyncRestorer(sync_store, handed.append)
    restorer.run_once()
    events = sync_store.load(run_id)
    # when restorers come again and again, and somebody tries to resume
    for hours in range(rounds):
        restorer.run_once(now=from_ms(events[-1].position.ms) + hours * HOUR)
        with pytest.raises(AlreadyResumed):
            SyncRunControl(sync_store).resume(run_id)
    # then nothing changes, and one worker has it
    assert sync_store.load(run_id) == events
    assert len(handed) == 1
    # and to the fold a second record of the restore makes no difference
    once, twice = fold(events), fold(events)
    for event in events[-3:]:
        twice.apply(event)
    assert twice == once


# One winner


class Race:
    """A run with open pauses, and all who want to decide what becomes of them, as plans."""

    def __init__(self, store: EventStore, run_id: str, now_ms: int) -> None:
        self._store = store
        self._run_id = run_id
        self._now_ms = now_ms
        self.handed: list[RunContext] = []

    def plan(self, name: str, number: int) -> Plan[Any]:
        """Give the plan of one who takes part."""
        operations, run_id = self._store.operations, self._run_id
        kind, _, pause_id = name.partition(" ")
        if kind == "resume":
            return pausing.resume(operations, run_id, {name: number}, pause_id, "manual", name)
        if kind == "restore":
            # The lease of each is over for the next one, so that leases are no help.
            return restoring(operations, self.handed, self._now_ms + number, lease_ms=1)
        data = {"type": "nudge"} if kind == "signal.received" else {}
        return appending(run_id, NewEvent(kind, data))


racers = st.lists(
    st.sampled_from(
        ["resume a", "resume b", "restore", "restore", "run.completed", "signal.received"]
    ),
    min_size=2,
    max_size=6,
)
windows = st.fixed_dictionaries(
    {
        name: st.tuples(
            st.sampled_from([0, 3_600_000, None]),
            st.sampled_from(["restore", "park", "fail", "abort"]),
        )
        for name in "ab"
    }
)


@settings(max_examples=100, **ON_A_REAL_SERVER)
@given(names=racers, windows=windows, choices=st.lists(st.integers(0, 5), max_size=40))
async def test_every_pause_has_one_winner_in_any_order_of_steps(
    store: EventStore,
    server: Any,
    namespace: str,
    names: list[str],
    windows: dict[str, tuple[int | None, str]],
    choices: list[int],
) -> None:
    # given a run with two open pauses
    server.forget(namespace)
    run_id = new_id()
    events = [
        NewEvent(
            "run.paused",
            {"pause_id": name, "state": {}, "window_ms": window_ms, "on_expiry": on_expiry},
        )
        for name, (window_ms, on_expiry) in windows.items()
    ]
    result = await store.append(run_id, [NewEvent("run.created"), *events])
    now_ms = result.positions[-1].ms
    # when resumes, restorers, an end and signals meet, step by step in any order
    race = Race(store, run_id, now_ms)
    plans = [race.plan(name, number) for number, name in enumerate(names)]
    outcomes = await store.perform(interleaved(plans, iter(choices)))
    # then each pause has one outcome, and each that goes on one worker
    happened = await store.load(run_id, after=3)
    state = fold(await store.load(run_id))
    resumed = [event.data["pause_id"] for event in happened if event.type == "run.resumed"]
    won = [outcome for outcome in outcomes if isinstance(outcome, RunContext)]
    workers = Counter(context.pause_id for context in won + race.handed)
    assert workers == Counter(resumed)
    assert all(number == 1 for number in workers.values())
    expired = [e.data["pause_id"] for e in happened if e.type == "run.window_expired"]
    assert len(expired) == len(set(expired))
    assert {name for name in expired if windows[name][0] == 0} == set(expired)
    # and whoever lost was told the truth about the winner
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, AlreadyResumed):
            truth = state.outcomes[outcome.pause_id]
            assert (outcome.cause, outcome.actor) == (truth.cause, truth.actor)
        elif name.startswith("resume"):
            assert isinstance(outcome, (RunContext, RunClosed))
    # and what a restorer saw to its end has ended, and only open pauses have timers left
    if "restore" in names:
        _check_ended(state, windows)
    assert timers(server, namespace) == _expected_timers(state)


def _check_ended(state: RunState, windows: dict[str, tuple[int | None, str]]) -> None:
    """Check that the windows which are over have taken their effect, unless the run ended."""
    for name, (window_ms, on_expiry) in windows.items():
        if window_ms == 0 and state.ended_ms is None and name not in state.outcomes:
            assert (on_expiry, state.pauses[name].expired) == ("park", True)


def _expected_timers(state: RunState) -> list[str]:
    return sorted(
        f"window|{state.run_id}|{name}"
        for name, pause in state.pauses.items()
        if pause.window_ms is not None and not pause.expired
    )
