"""A restored run comes to one worker, also when its worker can't be reached at first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from replaying import (
    HANDOVER_MS,
    HOUR,
    LEASE_MS,
    MS,
    NUDGE,
    RESTORED,
    Workers,
    control,
    pause,
    restorer,
    server_now,
    timers,
    types,
)

from eventstore import (
    EventStore,
    NewEvent,
)
from eventstore.clock import monotonic
from replay import RunContext


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
    await pause(any_store, "run", pause_id="a", resume_at="write a")
    await pause(any_store, "run", pause_id="b", resume_at="write b", expected=None)
    workers = Workers(raising=2)
    service = restorer(any_store, workers)
    assert (await service.run_once()).handovers_failed == 2
    # when it is time to hand them over again, while the later one has begun to work
    later = max(workers.contexts, key=lambda context: context.version)
    started = NewEvent("node.started", {"node_id": later.resume_at})
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
    for form in ("sweeper", "sync_sweeper"):
        clock = f"replay.sweeping.{form}.monotonic"
        monkeypatch.setattr(clock, lambda: monotonic() + passed_s)

    def dawdle(context: RunContext) -> None:
        nonlocal passed_s
        slow(context)
        passed_s += LEASE_MS / 1000

    one_by_one = {"concurrency": 1} if isinstance(any_store, EventStore) else {}
    later = await server_now(any_store) + HOUR
    counts = await restorer(any_store, dawdle, **one_by_one).run_once(now=later)
    # then it no longer hands over the second, which another restorer may have by now
    assert (counts.scanned, counts.restored) == (2, 1)
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
