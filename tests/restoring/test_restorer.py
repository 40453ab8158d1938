"""What the end of a window causes, and the service that sees to it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from consistency import assert_consistent
from faults import soon
from replaying import (
    ENDED,
    HOUR,
    NUDGE,
    ON_EXPIRY,
    RESTORED,
    YEAR,
    Workers,
    begin,
    control,
    pause,
    restorer,
    server_now,
    timers,
    travel,
    types,
)

from eventstore import (
    EventStore,
    InvalidArgument,
    NewEvent,
    SyncEventStore,
)
from replay import Restorer, RunContext, SyncRestorer

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
@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
async def test_bounds_that_cannot_be_are_refused(any_store: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        restorer(any_store, Workers(), **bad)


async def test_a_time_needs_its_zone(any_store: Any) -> None:
    with pytest.raises(InvalidArgument, match="zone"):
        await restorer(any_store, Workers()).run_once(now=datetime(2024, 5, 1))  # noqa: DTZ001


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
