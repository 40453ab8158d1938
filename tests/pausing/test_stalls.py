"""Runs whose worker falls silent are found once, and handed on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from consistency import assert_consistent
from replaying import HOUR, MS, NUDGE, Workers, control, pause, restorer, server_now, types

from eventstore import (
    InvalidArgument,
    InvalidEvent,
    NewEvent,
    RunClosed,
    RunNotFound,
    WrongExpectedVersion,
)
from eventstore.clock import from_ms
from pausing.ground import STALL_MS, begin_watched, deadlines, reconciler

STARTED = NewEvent("node.started", {"node_id": "write"})


# Deadlines


async def test_every_event_moves_the_deadline(any_store: Any, server: Any, namespace: str) -> None:
    # given a run that must show signs of life
    await begin_watched(any_store, "run")
    # when it goes on
    for _ in range(3):
        result = await any_store.append("run", STARTED)
        # then its deadline counts from its last event
        assert deadlines(server, namespace) == {"stall|run|": result.positions[-1].ms + STALL_MS}
    await asyncio.to_thread(assert_consistent, server, namespace)


async def test_a_run_that_asks_for_nothing_has_no_deadline(
    any_store: Any, server: Any, namespace: str
) -> None:
    await any_store.append("run", [NewEvent("run.created"), STARTED])
    assert deadlines(server, namespace) == {}
    assert await control(any_store).heartbeat("run") is None


async def test_a_worker_may_ask_for_another_time_and_for_none(
    any_store: Any, server: Any, namespace: str
) -> None:
    await begin_watched(any_store, "run")
    started = NewEvent("run.started", {"options": {"stall_after_ms": 5_000}})
    result = await any_store.append("run", started)
    assert deadlines(server, namespace) == {"stall|run|": result.positions[-1].ms + 5_000}
    for never in (0, None):
        begun = NewEvent("run.started", {"options": {"stall_after_ms": never}})
        await any_store.append("run", begun)
        await any_store.append("run", STARTED)
        assert deadlines(server, namespace) == {}
        await any_store.append("run", started)


@pytest.mark.parametrize("stall_after_ms", [-1, 1.5, "60", True, 10**15])
def test_a_time_that_cannot_be_is_refused(stall_after_ms: Any) -> None:
    with pytest.raises(InvalidEvent, match="stall_after_ms"):
        NewEvent("run.created", {"options": {"stall_after_ms": stall_after_ms}})


async def test_a_heartbeat_moves_the_deadline_and_is_no_event(
    any_store: Any, server: Any, namespace: str
) -> None:
    await begin_watched(any_store, "run|%7C")
    before = deadlines(server, namespace)["stall|run%7C%257C|"]
    version = (await any_store.head("run|%7C")).version
    now = await server_now(any_store)
    told = await control(any_store).heartbeat("run|%7C")
    assert told >= now + STALL_MS * MS
    assert from_ms(deadlines(server, namespace)["stall|run%7C%257C|"]) == told
    assert from_ms(before) <= told
    assert (await any_store.head("run|%7C")).version == version


async def test_a_heartbeat_of_no_run_or_of_an_ended_one_says_so(any_store: Any) -> None:
    with pytest.raises(RunNotFound):
        await control(any_store).heartbeat("nobody")
    await begin_watched(any_store, "run")
    await any_store.append("run", NewEvent("run.completed"))
    with pytest.raises(RunClosed):
        await control(any_store).heartbeat("run")


async def test_a_paused_run_does_not_stall(any_store: Any, server: Any, namespace: str) -> None:
    # given a run that pauses, and gets a signal meanwhile
    await begin_watched(any_store, "run")
    await pause(any_store, "run", window=None, on_expiry="park", expected=2)
    assert deadlines(server, namespace) == {}
    assert await control(any_store).heartbeat("run") is None
    await any_store.append("run", NUDGE)
    # when a reconciler looks much later / then it does nothing
    later = await server_now(any_store) + HOUR
    counts = await reconciler(any_store, pytest.fail).run_once(now=later)
    assert (counts.stalled, counts.recovered, counts.failed) == (0, 0, 0)
    assert deadlines(server, namespace) == {}
    # and from the resume on it is watched again
    context = await control(any_store).resume("run")
    assert list(deadlines(server, namespace)) == ["stall|run|"]
    assert context.version == (await any_store.head("run")).version


# Recovery


async def test_a_silent_run_is_taken_and_handed_on_once(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run whose worker went silent
    await begin_watched(any_store, "run")
    await any_store.append("run", NewEvent("run.patched", {"patch": {"n": 1}}))
    (deadline,) = deadlines(server, namespace).values()
    workers = Workers()
    service = reconciler(any_store, workers)
    # when a reconciler looks right before the deadline, and at it
    assert (await service.run_once(now=from_ms(deadline) - MS)).scanned == 0
    counts = await service.run_once(now=from_ms(deadline))
    # then it records the recovery and hands the run on, once
    assert counts.numbers == {"scanned": 1, "stalled": 1, "recovered": 1, "failed": 0}
    (context,) = workers.contexts
    assert (context.run_id, context.cause, context.pause_id) == ("run", "recovered", None)
    assert (context.state, context.input, context.version) == ({"n": 1}, 7, 4)
    events = await any_store.load("run")
    assert types(events)[3:] == ["run.recovered"]
    assert events[-1].data["from_worker"] == "w1"
    # and the old worker is refused, and the new one is not, and is watched in its turn
    with pytest.raises(WrongExpectedVersion):
        await any_store.append("run", STARTED, expected=3)
    assert list(deadlines(server, namespace)) == ["stall|run|"]
    await any_store.append("run", STARTED, expected=context.version)
    await asyncio.to_thread(assert_consistent, server, namespace)
    again = await service.run_once(now=await server_now(any_store) + HOUR)
    assert again.numbers == {"scanned": 1, "stalled": 1, "recovered": 1, "failed": 0}


async def test_a_worker_that_lost_its_run_keeps_no_deadline_from_the_new_one(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a worker that beats, also after a signal came
    await begin_watched(any_store, "run")
    beat = control(any_store).heartbeat
    await any_store.append("run", NUDGE)
    assert await beat("run", expected=2) is not None
    # when the run is taken from it, and before that reaches the new worker
    workers = Workers(raising=1)
    service = reconciler(any_store, workers)
    now = await server_now(any_store) + HOUR
    await service.run_once(now=now)
    (context,) = workers.contexts
    # then its sign of life is refused as its append would be
    with pytest.raises(WrongExpectedVersion) as refused:
        await beat("run", expected=3)
    assert (refused.value.expected, refused.value.actual) == (3, context.version)
    # and so it is while the new worker has the run, and the new one's counts
    await service.run_once(now=now + HOUR)
    await any_store.append("run", STARTED, expected=context.version)
    before = deadlines(server, namespace)
    with pytest.raises(WrongExpectedVersion):
        await beat("run", expected=3)
    assert deadlines(server, namespace) == before
    assert await beat("run", expected=context.version) is not None
    # and the same goes for the new worker, once the run is taken from it in turn
    await service.run_once(now=now + 2 * HOUR)
    with pytest.raises(WrongExpectedVersion):
        await beat("run", expected=context.version + 1)
    await asyncio.to_thread(assert_consistent, server, namespace)


@pytest.mark.parametrize("bad", [0, -1, "2", True, 1.5])
async def test_a_version_that_cannot_be_is_no_sign_of_life(any_store: Any, bad: Any) -> None:
    await begin_watched(any_store, "run")
    with pytest.raises(InvalidArgument):
        await control(any_store).heartbeat("run", expected=bad)
    with pytest.raises(WrongExpectedVersion):
        await control(any_store).heartbeat("run", expected=3)  # the run is at 2


async def test_a_sign_of_life_at_the_last_moment_counts(any_store: Any) -> None:
    # given a reconciler that has taken a deadline
    await begin_watched(any_store, "run")
    operations = any_store.operations
    later_ms = int((await server_now(any_store) + HOUR).timestamp() * 1000)
    (due,) = await any_store.perform(operations.due(later_ms, 10, 1_000, stalls=True))
    # when the worker shows that it is alive, and only then the reconciler goes on
    await control(any_store).heartbeat("run")
    from replay.recovering import recover  # noqa: PLC0415

    # then the run stays with its worker
    assert await any_store.perform(recover(operations, due, 1_000)) is None
    assert types(await any_store.load("run")) == ["run.created", "run.started"]


async def test_a_worker_that_cannot_be_reached_gets_the_run_again(any_store: Any) -> None:
    # given a silent run, and workers that cannot be reached twice
    await begin_watched(any_store, "run")
    workers = Workers(raising=2)
    service = reconciler(any_store, workers)
    now = await server_now(any_store) + HOUR
    # when reconcilers look again and again
    for failed, recovered in ((1, 0), (1, 0), (0, 1)):
        counts = await service.run_once(now=now)
        assert (counts.failed, counts.recovered) == (failed, recovered)
        now += HOUR
    # then it was recorded once
    assert workers.contexts == [workers.contexts[0]] * 3
    assert types(await any_store.load("run")).count("run.recovered") == 1


async def test_many_reconcilers_take_each_run_once(
    any_store: Any, server: Any, namespace: str
) -> None:
    for number in range(40):
        await begin_watched(any_store, f"run-{number}")
    workers, now = Workers(), from_ms(max(deadlines(server, namespace).values()))
    services = [reconciler(any_store, workers) for _ in range(6)]
    rounds = await asyncio.gather(*(service.run_once(now=now) for service in services))
    assert sum(counts.recovered for counts in rounds) == 40
    assert workers.runs == sorted(f"run-{number}" for number in range(40))


async def test_a_worker_that_dies_after_its_first_append_is_found(any_store: Any) -> None:
    # given a restored run, whose worker appended once and died
    await begin_watched(any_store, "run")
    await pause(any_store, "run", expected=2)
    workers = Workers()
    await restorer(any_store, workers).run_once()
    (context,) = workers.contexts
    await any_store.append("run", STARTED, expected=context.version)
    # when a reconciler looks in time
    later = await server_now(any_store) + HOUR
    counts = await reconciler(any_store, workers).run_once(now=later)
    # then the run has a worker again
    assert counts.recovered == 1
    assert workers.contexts[1].cause == "recovered"


async def test_a_restored_run_that_waits_for_its_worker_is_not_taken_from_it(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a restored run whose worker cannot be reached yet
    await begin_watched(any_store, "run")
    await pause(any_store, "run", expected=2)
    workers = Workers(raising=1)
    service = restorer(any_store, workers)
    await service.run_once()
    assert deadlines(server, namespace) == {}
    later = await server_now(any_store) + HOUR
    assert (await reconciler(any_store, pytest.fail).run_once(now=later)).scanned == 0
    # when it is reached / then it is watched from then on
    assert (await service.run_once(now=later)).restored == 1
    assert list(deadlines(server, namespace)) == ["stall|run|"]
