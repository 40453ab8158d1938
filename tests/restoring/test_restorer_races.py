"""Windows end once, however many look after them and whoever comes in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any

import pytest
from consistency import assert_consistent
from replaying import (
    ENDED,
    HANDOVER_MS,
    LEASE_MS,
    MS,
    NUDGE,
    ON_EXPIRY,
    RESTORED,
    Workers,
    appending,
    control,
    interrupted,
    pause,
    restorer,
    restoring,
    server_now,
    timers,
    travel,
    types,
)
from workers import at_once, restore_all

from eventstore import (
    AlreadyResumed,
    EventStore,
    NewEvent,
    RunClosed,
)
from eventstore.clock import to_ms
from replay import RunContext, pausing
from replay.expiry import take_effect

PROCESSES = 4


# Many restorers


async def test_many_restorers_in_one_process_take_each_window_once(any_store: Any) -> None:
    # given runs beyond their windows, of each kind
    for number in range(24):
        await pause(any_store, f"run-{number}", on_expiry=ON_EXPIRY[number % 4])
    # when eight restorers run at once
    workers = Workers()
    services = [restorer(any_store, workers) for _ in range(8)]
    rounds = await asyncio.gather(*(service.run_once() for service in services))
    # then together they did each once
    assert workers.runs == sorted(f"run-{number}" for number in range(0, 24, 4))
    total = Counter[str]()
    for counts in rounds:
        total.update(counts.numbers)
    assert +total == {
        "scanned": 24,
        "due": 24,
        "restored": 6,
        "parked": 6,
        "failed": 6,
        "aborted": 6,
    }
    for number in range(24):
        expected = ENDED[ON_EXPIRY[number % 4]]
        assert types(await any_store.load(f"run-{number}"))[2:] == expected


async def test_four_processes_take_each_window_once(
    store: EventStore, server: Any, namespace: str
) -> None:
    # given many runs beyond their windows, of each kind
    runs = [f"run-{number}" for number in range(60)]
    for number, run_id in enumerate(runs):
        await pause(store, run_id, on_expiry=ON_EXPIRY[number % 4])
    # when restorers of both forms start in four processes at the same moment
    forms = [(("asyncio", "sync")[n % 2], server.url, namespace) for n in range(PROCESSES)]
    outcomes = await asyncio.to_thread(at_once, restore_all, forms)
    # then each window took effect once, and each restored run has one worker
    handed = [context.run_id for contexts, _ in outcomes for context in contexts]
    assert sorted(handed) == sorted(runs[::4])
    total = sum((Counter(counts) for _, counts in outcomes), Counter[str]())
    assert +total == {
        "scanned": 60,
        "due": 60,
        "restored": 15,
        "parked": 15,
        "failed": 15,
        "aborted": 15,
    }
    await asyncio.to_thread(assert_consistent, server, namespace)
    assert timers(server, namespace) == []
    for number, run_id in enumerate(runs):
        assert types(await store.load(run_id))[2:] == ENDED[ON_EXPIRY[number % 4]]


async def test_a_lease_that_ended_hands_the_timer_to_another_but_not_the_window_twice(
    any_store: Any,
) -> None:
    # given a restorer that took a timer, and dawdles
    await pause(any_store, "run")
    operations, now = any_store.operations, await server_now(any_store)
    (slow,) = await any_store.due(now=now, lease_ms=1_000)
    # when another takes it after the lease, and the first goes on then
    workers = Workers()
    assert (await restorer(any_store, workers).run_once(now=now + 999 * MS)).due == 0
    assert (await restorer(any_store, workers).run_once(now=now + 1_000 * MS)).restored == 1
    now_ms = slow.due_ms + 2_000
    effect = await any_store.perform(take_effect(operations, slow, now_ms, HANDOVER_MS))
    # then the first finds it done
    assert effect is None
    assert workers.runs == ["run"]
    assert types(await any_store.load("run"))[2:] == RESTORED


# Resume against restorer


@pytest.mark.parametrize("on_expiry", ON_EXPIRY)
async def test_a_resume_and_a_restorer_at_once_leave_one_winner(
    any_store: Any, on_expiry: str
) -> None:
    # given runs beyond their windows
    runs = [f"run-{number}" for number in range(8)]
    for run_id in runs:
        await pause(any_store, run_id, on_expiry=on_expiry)
    # when a restorer and a resume of each start together
    workers = Workers()
    counts, *resumed = await asyncio.gather(
        restorer(any_store, workers).run_once(),
        *(control(any_store).resume(run_id) for run_id in runs),
        return_exceptions=True,
    )
    # then each run went one way, and whoever lost was told
    for run_id, outcome in zip(runs, resumed, strict=True):
        events = types(await any_store.load(run_id))[2:]
        won = isinstance(outcome, RunContext)
        if won and events != RESTORED:
            assert on_expiry == "park"
        if won:
            assert events.count("run.resumed") == 1
            assert run_id not in workers.runs
        else:
            assert isinstance(outcome, (AlreadyResumed, RunClosed))
            assert events == ENDED[on_expiry]
            assert (run_id in workers.runs) == (on_expiry == "restore")
    by_resume = sum(isinstance(outcome, RunContext) for outcome in resumed)
    by_restorer = counts.restored + counts.failed + counts.aborted
    assert on_expiry == "park" or by_resume + by_restorer == len(runs)


def _rival(name: str, operations: Any, run_id: str, handed: list[RunContext], now_ms: int) -> Any:
    again = {"pause_id": "p", "state": {"new": 1}, "window_ms": None, "on_expiry": "park"}
    return {
        "resume": pausing.resume(operations, run_id, None, "p", "manual", "ann"),
        "restorer": restoring(operations, handed, now_ms),
        "end": appending(run_id, NewEvent("run.completed")),
        "signal": appending(run_id, NUDGE),
        "pause": appending(run_id, NewEvent("run.paused", again)),
    }[name]


@pytest.mark.parametrize("on_expiry", ["restore", "fail"])
@pytest.mark.parametrize("rival", ["resume", "restorer", "end", "signal", "pause"])
async def test_whatever_happens_between_two_steps_of_a_restorer_is_respected(
    any_store: Any, rival: str, on_expiry: str
) -> None:
    operations = any_store.operations
    for number in count(1):
        # given a run beyond its window
        run_id = f"run-{number}"
        await pause(any_store, run_id, on_expiry=on_expiry)
        now_ms = to_ms(await server_now(any_store))
        # when a rival does all it wants right before the restorer's n-th step
        handed: list[RunContext] = []
        own = restoring(operations, handed, now_ms)
        rivals = _rival(rival, operations, run_id, handed, now_ms + LEASE_MS)
        _, outcome = await any_store.perform(interrupted(own, number, rivals))
        if outcome is None:
            break
        # then one of them decided what became of the pause, and one worker goes on at most
        happened = Counter(types(await any_store.load(run_id, after=2)))
        winners = len(handed) + isinstance(outcome, RunContext)
        ends = happened["run.completed"] + happened["run.failed"]
        assert happened["run.resumed"] == winners <= 1
        assert ends <= 1
        if rival in ("restorer", "signal"):
            assert (winners, happened["run.failed"]) == ((1, 0), (0, 1))[on_expiry == "fail"]
        if rival == "resume":
            assert winners + happened["run.failed"] == 1
        if rival == "end":
            assert ends == 1
        if rival == "pause" and not ends:
            assert happened["run.paused"] == 1
            assert (await travel(any_store).state_at(run_id)).state == {"new": 1}
    assert number > 4, "a round takes more steps than that"
