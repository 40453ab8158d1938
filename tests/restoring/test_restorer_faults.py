"""Whatever is broken, killed or lost: each window still takes its effect once."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest
from consistency import assert_consistent
from faults import soon
from proxy import Fault, Proxy
from replaying import (
    ENDED,
    HOUR,
    LEASE_MS,
    NUDGE,
    RESTORED,
    Workers,
    appending,
    begin,
    interrupted,
    pause,
    restorer,
    restoring,
    server_now,
    timeless,
    timers,
    types,
)
from workers import exit_code_of, finishing, restore_and_die

from eventstore import (
    AlreadyResumed,
    NewEvent,
    Settings,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.clock import from_ms, to_ms
from replay import RunContext, SyncRestorer, SyncRunControl

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


@pytest.mark.parametrize("rubbish", [b"rubbish", b"window|\xff|p"])
async def test_a_timer_that_cannot_be_read_keeps_no_other_waiting(
    any_store: Any, server: Any, rubbish: bytes
) -> None:
    # given something in the due index that is no timer, and a run beyond its window
    await pause(any_store, "run")
    keys = any_store.operations.keys
    server.admin.zadd(keys.due(keys.partition_of("run")), {rubbish: 1})
    # when a restorer looks / then the run goes on
    workers = Workers()
    await restorer(any_store, workers).run_once()
    assert workers.runs == ["run"]


async def test_a_timer_of_another_kind_is_left_to_those_who_know_it(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a deadline that is not about pauses
    await begin(any_store, "run")
    keys = any_store.operations.keys
    server.admin.zadd(keys.due(keys.partition_of("run")), {"wake|run|tea": 1})
    # when a restorer meets it / then it stays
    await restorer(any_store, pytest.fail).run_once()
    assert timers(server, namespace) == ["wake|run|tea"]


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
