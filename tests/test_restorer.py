"""Windows end once, whoever looks after them and whoever dies; a restored run has one worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any

import pytest
from consistency import assert_consistent
from faults import soon
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
from eventstore.clock import from_ms, monotonic, to_ms
from replay import Restorer, RunContext, SyncRestorer, SyncRunControl, pausing
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
NUDGE = NewEvent("signal.received", {"type": "nudge"})


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
    await any_store.append("run", [NewEvent("run.patched", {"patch": {"m": [2]}}), NUDGE])
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


async def test_a_timer_for_nothing_is_taken_off(
    any_store: Any, server: Any, namespace: str
) -> None:
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


# A worker that cannot be reached


async def test_a_callback_that_raises_gets_the_run_again_in_time(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run beyond its window, and a worker that raises twice
    await pause(any_store, "run")
    workers = Workers(raising=2)
    service = restorer(any_store, workers)
    # when a restorer hands the run over, and it fails
    counts = await service.run_once()
    assert (counts.restored, counts.handovers_failed, counts.errors) == (1, 1, 0)
    assert timers(server, namespace) == ["handover|run|p"]
    # then it is handed over again, not before its time
    again = (await any_store.load("run"))[-1].recorded_at + HANDOVER_MS * MS
    assert (await service.run_once(now=again - MS)).due == 0
    assert (await service.run_once(now=again)).handovers_failed == 1
    # and again at the end of that lease, until somebody takes it
    assert (await service.run_once(now=again + (LEASE_MS - 1) * MS)).due == 0
    assert (await service.run_once(now=again + LEASE_MS * MS)).handovers_failed == 0
    assert workers.contexts == [workers.contexts[0]] * 3
    # and nothing was recorded for all that
    assert types(await any_store.load("run"))[2:] == RESTORED
    assert timers(server, namespace) == []


async def test_a_run_that_a_worker_took_is_not_handed_over_again(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a worker that took a run and appended to it, and then raised
    await pause(any_store, "run")
    workers = Workers(raising=1)
    service = restorer(any_store, workers)
    await service.run_once()
    (context,) = workers.contexts
    started = NewEvent("node.started", {"node_id": "write"})
    await any_store.append("run", started, expected=context.version)
    # when its time comes / then nobody gets it again
    counts = await service.run_once(now=await server_now(any_store) + HOUR)
    assert (counts.due, counts.conflicts) == (1, 1)
    assert len(workers.contexts) == 1
    assert timers(server, namespace) == []


async def test_what_comes_from_outside_does_not_keep_a_run_from_its_worker(any_store: Any) -> None:
    # given a restored run whose worker could not be reached
    await pause(any_store, "run")
    workers = Workers(raising=1)
    service = restorer(any_store, workers)
    await service.run_once()
    # when a signal arrives before it is handed over again
    patch = NewEvent("run.patched", {"patch": {"late": 1}})
    await any_store.append("run", [NUDGE, patch])
    await service.run_once(now=await server_now(any_store) + HOUR)
    # then a worker gets it as it is by now, and can append
    first, second = workers.contexts
    assert (first.version, second.version) == (5, 7)
    assert second.state == {"step": 1, "late": 1}
    assert (second.pause_id, second.resume_at, second.restored) == ("p", "next", True)
    await any_store.append("run", NewEvent("run.completed"), expected=second.version)


async def test_no_branch_loses_its_worker_to_another(any_store: Any) -> None:
    # given two branches of a run beyond their windows, and workers that cannot be reached
    await pause(any_store, "run", pause_id="a")
    await pause(any_store, "run", pause_id="b", expected=None)
    workers = Workers(raising=2)
    service = restorer(any_store, workers)
    assert (await service.run_once()).handovers_failed == 2
    # when it is time to hand them over again, while the later one has begun to work
    later = max(workers.contexts, key=lambda context: context.version)
    started = NewEvent("node.started", {"node_id": "write"})
    await any_store.append("run", started, expected=later.version)
    await service.run_once(now=await server_now(any_store) + HOUR)
    # then the other one still gets its worker
    assert [c.pause_id for c in workers.contexts[2:]] == [({"a", "b"} - {later.pause_id}).pop()]


async def test_a_pause_id_used_again_does_not_bring_back_the_old_worker(any_store: Any) -> None:
    # given a restored run whose worker's callback raised though it went on, paused under the
    # same id, and was resumed by ann
    await pause(any_store, "run")
    workers = Workers(raising=1)
    service = restorer(any_store, workers)
    await service.run_once()
    await pause(any_store, "run", window=HOUR, expected=workers.contexts[0].version)
    await control(any_store).resume("run", actor="ann")
    # when the old handover's time comes / then ann's worker stays the only one
    assert (await service.run_once(now=await server_now(any_store) + HOUR)).conflicts == 1
    assert len(workers.contexts) == 1


async def test_what_waited_for_its_turn_too_long_is_left_to_others(
    any_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two restored runs to be handed over again
    for run_id in ("one", "two"):
        await pause(any_store, run_id)
    await restorer(any_store, Workers(raising=2)).run_once()
    # when a restorer takes both, and the first handover outlasts the lease
    slow, passed_s = Workers(), 0.0
    monkeypatch.setattr("replay.restorer.monotonic", lambda: monotonic() + passed_s)

    def dawdle(context: RunContext) -> None:
        nonlocal passed_s
        slow(context)
        passed_s += LEASE_MS / 1000

    one_by_one = {"concurrency": 1} if isinstance(any_store, EventStore) else {}
    later = await server_now(any_store) + HOUR
    counts = await restorer(any_store, dawdle, **one_by_one).run_once(now=later)
    # then it no longer hands over the second, which another restorer may have by now
    assert (counts.due, counts.restored) == (2, 1)
    others, passed_s = Workers(), 0.0
    await restorer(any_store, others).run_once(now=later + HOUR)
    assert sorted(slow.runs + others.runs) == ["one", "two"]


async def test_two_restorers_hand_over_again_only_once(any_store: Any) -> None:
    for number in range(10):
        await pause(any_store, f"run-{number}")
    await restorer(any_store, Workers(raising=10)).run_once()
    later = await server_now(any_store) + HOUR
    workers = Workers()
    await asyncio.gather(*(restorer(any_store, workers).run_once(now=later) for _ in range(4)))
    assert workers.runs == sorted(f"run-{number}" for number in range(10))


# Trouble with one run


async def test_a_run_that_cannot_be_read_keeps_no_other_waiting(
    any_store: Any, server: Any, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    # given runs beyond their windows, one of which lost an event
    for number in range(5):
        await pause(any_store, f"run-{number}")
    server.admin.xdel(any_store.operations.keys.run("run-2"), "1-0")
    # when a restorer deals with them
    workers = Workers()
    counts = await restorer(any_store, workers).run_once()
    # then all others go on, and that one is reported and stays due
    assert (counts.due, counts.restored, counts.errors) == (5, 4, 1)
    assert workers.runs == ["run-0", "run-1", "run-3", "run-4"]
    assert "'run-2'" in caplog.text
    assert timers(server, namespace) == ["window|run-2|p"]


async def test_a_window_outlives_a_run_that_never_stands_still(
    any_store: Any, server: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a restorer with little patience, and somebody who appends before each of its appends
    monkeypatch.setattr("replay.expiry.MAX_CONFLICTS", 1)
    await pause(any_store, "run")
    operations, now_ms = any_store.operations, to_ms(await server_now(any_store) + HOUR)
    handed: list[RunContext] = []
    own = restoring(operations, handed, now_ms)
    # when it gives up
    outcome, _ = await any_store.perform(interrupted(own, 4, appending("run", NUDGE)))
    assert isinstance(outcome, WrongExpectedVersion)
    # then the window's end is not forgotten
    assert timers(server, namespace) == ["window|run|p"]
    await any_store.perform(restoring(operations, handed, now_ms + LEASE_MS))
    assert len(handed) == 1


# Death


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("form", ["asyncio", "sync"])
def test_a_restorer_killed_at_any_call_leaves_no_trace(
    sync_store: SyncEventStore, server: Any, namespace: str, form: str, moment: str
) -> None:
    # given a run that was restored and finished undisturbed
    def finish(context: RunContext) -> None:
        sync_store.append(context.run_id, finishing(), expected=context.version)

    _pause_blocking(sync_store, "twin")
    SyncRestorer(sync_store, finish).run_once()
    twin = sync_store.load("twin")
    assert types(twin)[2:] == [*RESTORED, *(event.type for event in finishing())]
    for number in count(1):
        # when a restorer that deals with another run is killed at its n-th call
        run_id = f"run-{number}"
        _pause_blocking(sync_store, run_id)
        code = exit_code_of(restore_and_die, form, server.url, namespace, number, moment)
        # then another one, once leases are over, brings it to the very same end
        later = from_ms(twin[0].position.ms) + HOUR
        SyncRestorer(sync_store, finish).run_once(now=later)
        events = sync_store.load(run_id)
        assert [(e.type, e.data) for e in events] == [(e.type, e.data) for e in twin], number
        assert timeless(events) == timeless(twin)
        assert timers(server, namespace) == []
        if code == 0:
            break
        assert code == -9
    assert number > 8, "a round has more calls than that"
    assert_consistent(server, namespace)


def _pause_blocking(store: SyncEventStore, run_id: str) -> None:
    data = {"pause_id": "p", "state": {"n": 1}, "window_ms": 0, "on_expiry": "restore"}
    store.append(run_id, [NewEvent("run.created", {"input": 7}), NewEvent("run.paused", data)])


async def test_a_server_killed_in_the_middle_costs_nothing(
    open_any: Any, own_server: Any, namespace: str
) -> None:
    runs = sorted(f"run-{number}" for number in range(12))
    async with open_any(own_server.url, namespace=namespace) as store:
        # given runs beyond their windows
        for number, run_id in enumerate(runs):
            await pause(store, run_id, on_expiry="restore" if number % 3 else "fail")
        # when the server is killed while they are being restored, and started again
        workers, killed = Workers(), asyncio.Event()

        def hand_over(context: RunContext) -> None:
            workers(context)
            if len(workers.contexts) == 3:
                own_server.kill()
                killed.set()

        restoring_all = asyncio.create_task(restorer(store, hand_over).run_once())
        await soon(killed.is_set)
        await asyncio.to_thread(own_server.start)
        counts = await restoring_all
        # then each window has taken its effect once all the same
        assert (counts.restored, counts.failed, counts.errors) == (8, 4, 0)
        assert workers.runs == [run for number, run in enumerate(runs) if number % 3]
        for number, run_id in enumerate(runs):
            expected = ENDED["restore" if number % 3 else "fail"]
            assert types(await store.load(run_id))[2:] == expected
        assert timers(own_server, namespace) == []
        await asyncio.to_thread(assert_consistent, own_server, namespace)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.TEAR_REPLY, Fault.SILENCE])
async def test_a_restore_whose_reply_is_lost_is_not_doubled(
    open_any: Any, server: Any, namespace: str, fault: Fault
) -> None:
    settings = Settings(reply_timeout_ms=200)
    async with open_any(server.url, namespace=namespace) as direct:
        await pause(direct, "run")
        with Proxy(server.url) as proxy:
            # given a line that loses the reply to the restore, and a rival who comes right then
            rival: list[Any] = []
            proxy.lose(fault, [1])
            proxy.in_between = lambda: rival.append(_try_to_resume(server, namespace))
            async with open_any(proxy.url, namespace=namespace, settings=settings) as store:
                # when a restorer restores over it
                workers = Workers()
                counts = await restorer(store, workers).run_once()
            # then it knows that it was the one, the rival was told, and nothing stands twice
            assert proxy.faults == 1
        assert (counts.restored, counts.conflicts) == (1, 0)
        assert [context.version for context in workers.contexts] == [5]
        assert [type(error) for error in rival] == [AlreadyResumed]
        assert types(await direct.load("run"))[2:] == RESTORED
        assert timers(server, namespace) == []


def _try_to_resume(server: Any, namespace: str) -> Any:
    with SyncEventStore.open(server.url, namespace=namespace) as store:
        try:
            return SyncRunControl(store).resume("run")
        except AlreadyResumed as error:
            return error


async def test_a_restore_that_never_reached_the_server_is_done_all_the_same(
    open_any: Any, server: Any, namespace: str
) -> None:
    with Proxy(server.url) as proxy:
        async with open_any(proxy.url, namespace=namespace) as store:
            await pause(store, "run")
            proxy.lose(Fault.LOSE_CALL, [1])
            workers = Workers()
            assert (await restorer(store, workers).run_once()).restored == 1
            assert workers.runs == ["run"]
            assert types(await store.load("run"))[2:] == RESTORED


# The service


async def test_a_service_finds_windows_as_they_end_until_it_is_stopped(any_store: Any) -> None:
    # given a restorer that runs
    workers = Workers()
    service = restorer(any_store, workers, idle_ms=5)
    running = asyncio.create_task(service.run())
    # when runs pause for a moment, one after another
    for number in range(3):
        await pause(any_store, f"run-{number}", window=0.01)
        await soon(lambda: len(workers.contexts) == number + 1)  # noqa: B023 - awaited here
    # then each was handed over, and a stop ends the service in good order
    await service.stop()
    await asyncio.wait_for(running, 10)
    assert workers.runs == ["run-0", "run-1", "run-2"]
    assert service.counts.restored == 3


@pytest.mark.parametrize(
    "bad",
    [
        {"lease_ms": 0},
        {"handover_ms": -1},
        {"idle_ms": 1.5},
        {"lease_ms": True},
    ],
)
async def test_bounds_that_cannot_be_are_refused(any_store: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        restorer(any_store, Workers(), **bad)


async def test_a_restorer_needs_something_to_call(any_store: Any) -> None:
    with pytest.raises(InvalidArgument):
        restorer(any_store, None)
    with pytest.raises(InvalidArgument):
        await restorer(any_store, Workers()).run_once(limit=0)


async def test_an_async_callback_is_awaited_by_the_one_and_refused_by_the_other(
    store: EventStore, sync_store: SyncEventStore
) -> None:
    handed = []

    async def hand_over(context: RunContext) -> None:
        await asyncio.sleep(0)
        handed.append(context.run_id)

    await pause(store, "run")
    with pytest.raises(InvalidArgument):
        SyncRestorer(sync_store, hand_over)  # type: ignore[arg-type]
    await Restorer(store, hand_over).run_once()
    assert handed == ["run"]
