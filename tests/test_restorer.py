"""Windows end once, whoever looks after them and whoever dies; a restored run has one worker."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from consistency import assert_consistent
from faults import eventually
from proxy import Fault, Proxy
from replaying import (
    HANDOVER_MS,
    HOUR,
    LEASE_MS,
    MS,
    YEAR,
    appending,
    begin,
    control,
    interrupted,
    pause,
    restorer,
    restoring,
    server_now,
    timeless,
    timers,
    travel,
    types,
)
from workers import at_once, exit_code_of, finishing, restore_all, restore_and_die

from eventstore import (
    AlreadyResumed,
    EventStore,
    InvalidArgument,
    NewEvent,
    RunClosed,
    Settings,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.clock import from_ms
from replay import Restorer, RunContext, SyncRestorer, pausing
from replay.expiry import take_effect

PROCESSES = 4
ON_EXPIRY = ("restore", "park", "fail", "abort")
RESTORED = ["run.window_expired", "run.restored", "run.resumed"]
ENDED = {
    "restore": RESTORED,
    "park": ["run.window_expired"],
    "fail": ["run.window_expired", "run.failed"],
    "abort": ["run.window_expired", "run.aborted"],
}
DEAF = NewEvent("signal.received", {"type": "nudge"})


class Workers:
    """A callback that keeps what it is given, and raises as often as it is told."""

    def __init__(self, raising: int = 0) -> None:
        self.contexts: list[RunContext] = []
        self._raising = raising

    def __call__(self, context: RunContext) -> None:
        self.contexts.append(context)
        if len(self.contexts) <= self._raising:
            raise ConnectionError("the queue of the workers is down")

    @property
    def runs(self) -> list[str]:
        return sorted(context.run_id for context in self.contexts)


# What the end of a window causes


@pytest.mark.parametrize("on_expiry", ON_EXPIRY)
async def test_a_window_ends_as_the_pause_says(
    any_store: Any, server: Any, namespace: str, on_expiry: str
) -> None:
    # given a run beyond its window
    await pause(any_store, "run", on_expiry=on_expiry, node_id="review")
    workers = Workers()
    service = restorer(any_store, workers)
    # when a restorer looks
    counts = await service.run_once()
    # then what the pause says is recorded at once, and counted
    events = await any_store.load("run")
    assert types(events)[2:] == ENDED[on_expiry]
    runs = await asyncio.to_thread(assert_consistent, server, namespace)
    assert len({entry.append_id for entry in runs["run"][2:]}) == 1
    name = {"restore": "restored", "park": "parked", "fail": "failed", "abort": "aborted"}
    assert getattr(counts, name[on_expiry]) == counts.due == 1
    assert counts.restored + counts.parked + counts.failed + counts.aborted == 1
    assert service.counts == counts
    # and no timer is left, no worker gets anything but what was restored
    assert timers(server, namespace) == []
    assert workers.runs == (["run"] if on_expiry == "restore" else [])
    assert (await service.run_once(now=await server_now(any_store) + YEAR)).due == 0


async def test_a_restored_run_comes_with_all_it_needs(any_store: Any) -> None:
    # given a run that waits, and to which something happens meanwhile
    await pause(any_store, "run", state={"n": 1, "m": [1]}, resume_at={"at": 3}, node_id="review")
    await any_store.append("run", [NewEvent("run.patched", {"patch": {"m": [2]}}), DEAF])
    # when its window ends
    workers = Workers()
    await restorer(any_store, workers).run_once()
    # then the worker gets the checkpoint with all that came later, and the fence
    assert workers.contexts == [
        RunContext(
            run_id="run",
            version=7,
            workflow_id="intake",
            pause_id="p",
            cause="window_expired",
            actor=None,
            state={"n": 1, "m": [2]},
            resume_at={"at": 3},
            node_id="review",
            input=7,
            restored=True,
        )
    ]
    state = await travel(any_store).state_at("run")
    assert (state.state, state.version, state.status) == ({"n": 1, "m": [2]}, 7, "running")


async def test_a_parked_run_waits_for_somebody_and_is_restored_then(any_store: Any) -> None:
    # given a run that was parked at the end of its window
    await pause(any_store, "run", on_expiry="park")
    await restorer(any_store, pytest.fail).run_once()
    state = await travel(any_store).state_at("run")
    assert (state.status, state.pauses["p"].expired) == ("paused", True)
    # when somebody resumes it, long after
    context = await control(any_store).resume("run", actor="ann")
    # then it is restored, and its window ended once
    assert context.restored
    assert types(await any_store.load("run"))[2:] == RESTORED


@pytest.mark.parametrize(("on_expiry", "status"), [("fail", "failed"), ("abort", "aborted")])
async def test_a_run_that_its_window_ended_says_why(
    any_store: Any, on_expiry: str, status: str
) -> None:
    await pause(any_store, "run", on_expiry=on_expiry)
    await restorer(any_store, pytest.fail).run_once()
    state = await travel(any_store).state_at("run")
    assert state.status == status
    why = state.error["message"] if state.error else state.reason
    assert why == "the pause window of p ended after 0 ms"


async def test_pauses_of_one_run_end_each_on_its_own(any_store: Any) -> None:
    # given parallel branches of a run, both beyond their windows
    await pause(any_store, "run", pause_id="a", resume_at="A")
    await pause(any_store, "run", pause_id="b", resume_at="B", expected=None)
    # when a restorer deals with both at the same time
    workers = Workers()
    counts = await restorer(any_store, workers).run_once()
    # then each goes on, once
    assert counts.restored == 2
    assert sorted((c.pause_id, c.resume_at) for c in workers.contexts) == [("a", "A"), ("b", "B")]
    assert types(await any_store.load("run"))[3:] == RESTORED * 2


# What was dealt with leaves no timer


@pytest.mark.parametrize("end", ["resume", "complete", "abort", "delete"])
async def test_no_timer_outlives_its_pause(
    any_store: Any, server: Any, namespace: str, end: str
) -> None:
    # given a run that waits
    await pause(any_store, "run", window=HOUR)
    assert timers(server, namespace) == ["window|run|p"]
    # when it goes on, or is over
    if end == "resume":
        await control(any_store).resume("run")
    else:
        ends = {"complete": "run.completed", "abort": "run.aborted", "delete": "run.deleted"}
        await any_store.append("run", NewEvent(ends[end]))
    # then nothing is ever due
    assert timers(server, namespace) == []
    much_later = await server_now(any_store) + YEAR
    assert (await restorer(any_store, pytest.fail).run_once(now=much_later)).due == 0


async def test_a_timer_for_nothing_is_taken_off(any_store: Any, server: Any, namespace: str) -> None:
    # given timers that somebody put there, of a run that never was and of one that never paused
    await begin(any_store, "run")
    for run_id in ("ghost", "run"):
        keys = any_store.operations.keys
        due = keys.due(keys.partition_of(run_id))
        server.admin.zadd(due, {f"window|{run_id}|p": 1, f"handover|{run_id}|p": 2})
    # when a restorer meets them / then it takes them off without a stir
    counts = await restorer(any_store, pytest.fail).run_once()
    assert (counts.due, counts.conflicts, counts.errors) == (4, 4, 0)
    assert timers(server, namespace) == []
    assert (await any_store.head("run")).version == 1


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
        total.update({name: getattr(counts, name) for name in counts.__slots__})
    assert +total == {"due": 24, "restored": 6, "parked": 6, "failed": 6, "aborted": 6}
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
    assert +total == {"due": 60, "restored": 15, "parked": 15, "failed": 15, "aborted": 15}
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


RIVALS: dict[str, Callable[[Any, list[RunContext]], Any]] = {
    "resume": lambda ops, _: pausing.resume(ops, "run", {"by": "ann"}, None, "manual", "ann"),
    "restorer": lambda ops, handed: restoring(ops, handed, 4_000_000_000_000),
    "end": lambda _ops, _: appending("run", NewEvent("run.completed")),
    "signal": lambda _ops, _: appending("run", DEAF),
    "pause": lambda _ops, _: appending(
        "run",
        NewEvent(
            "run.paused",
            {"pause_id": "p", "state": {"new": 1}, "window_ms": None, "on_expiry": "park"},
        ),
    ),
}


@pytest.mark.parametrize("on_expiry", ["restore", "fail"])
@pytest.mark.parametrize("rival", RIVALS)
async def test_whatever_happens_between_two_steps_of_a_restorer_is_respected(
    any_store: Any, rival: str, on_expiry: str
) -> None:
    operations = any_store.operations
    for number in count(1):
        # given a run beyond its window, in a namespace that holds nothing else that is due
        run_id = "run"
        await pause(any_store, run_id, on_expiry=on_expiry, expected=_expected(number))
        handed: list[RunContext] = []
        now_ms = int((await server_now(any_store) + HOUR).timestamp() * 1000)
        own = restoring(operations, handed, now_ms)
        # when a rival does all it wants before the restorer's n-th step
        events_before = (await any_store.head(run_id)).version
        _, outcome = await any_store.perform(
            interrupted(own, number, RIVALS[rival](operations, handed))
        )
        events = await any_store.load(run_id, after=events_before)
        winners = handed + ([outcome] if isinstance(outcome, RunContext) else [])
        _check_one_winner(types(events), winners, rival, on_expiry)
        break
