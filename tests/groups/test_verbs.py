"""Consumer groups: three verbs, and stopping."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from group_samples import AT_ONCE, Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, InvalidArgument, RecordedEvent
from eventstore.groups import Backoff, ConsumerGroup


async def test_run_once_handles_one_batch_and_gives_zero_at_the_end(store: EventStore) -> None:
    await store.append("run", notes(25))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True, batch_events=160)

    counts = [await group.run_once() for _ in range(4)]
    await store.append("run", noted())

    assert counts == [10, 10, 5, 0]
    assert await group.run_once() == 1
    assert seen.by_run() == {"run": list(range(1, 27))}
    await group.stop()


async def test_run_once_tries_a_failed_run_again_after_its_pause(store: EventStore) -> None:
    await store.append("run", notes(2))
    seen = Seen()
    tries = 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("once")
        await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, backoff=Backoff(60_000, jitter=0))
    assert [await group.run_once(), await group.run_once()] == [1, 0]
    assert seen.events == []
    await group.stop()

    assert await ConsumerGroup(store, "g", handle, member=group.member).run_once() == 2
    assert seen.by_run() == {"run": [1, 2]}


async def test_stop_lets_handlers_finish_and_leaves_nothing_pending(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await fill(store, runs=20)
    seen = Seen()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(event: RecordedEvent) -> None:
        begun.set()
        await go_on.wait()
        await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, concurrency=3)
    task = asyncio.create_task(group.run())
    await begun.wait()
    assert server.admin.zcard(f"{namespace}:members:g") == 1
    stopped = group.stop()
    await store.append("later", noted())
    assert not stopped.done()
    go_on.set()
    await stopped
    await task

    assert len(seen.events) == group.counts.handled
    assert "later" not in seen.by_run()
    assert pending(store, server.admin, "g") == 0
    assert server.admin.zcard(f"{namespace}:members:g") == 0


async def test_stop_waits_no_longer_than_it_was_told(store: EventStore, server: AnyServer) -> None:
    await store.append("run", notes(3))
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(_: RecordedEvent) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    group = ConsumerGroup(store, "g", handle, create=True, drain_ms=50, member="m")
    task = asyncio.create_task(group.run())
    await begun.wait()
    await asyncio.wait_for(group.stop(), timeout=5)
    await task

    assert cancelled.is_set()
    assert pending(store, server.admin, "g") == 3
    seen = Seen()
    await ConsumerGroup(store, "g", seen, member="m").run_to_end()
    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_stop_does_not_wait_for_runs_that_failed(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(2))

    async def handle(_: RecordedEvent) -> None:
        raise RuntimeError("never")

    group = ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE, max_deliveries=1_000)
    task = asyncio.create_task(group.run())
    await until(lambda: group.counts.failed > 3, task)
    await asyncio.wait_for(group.stop(), timeout=5)
    await task
    failed = group.counts.failed

    assert pending(store, server.admin, "g") == 2
    for _ in range(100):  # longer than its pauses
        await store.tails()
    assert group.counts.failed == failed


async def test_a_handler_can_stop_its_group(store: EventStore) -> None:
    await store.append("run", notes(3))
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        await seen(event)
        group.stop()

    group = ConsumerGroup(store, "g", handle, create=True)
    await asyncio.wait_for(group.run(), timeout=10)

    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_stop_before_run_lets_that_end_at_once_and_the_next_one_serve(
    store: EventStore,
) -> None:
    await store.append("run", notes(3))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    # given a group that is stopped before, or while its task is yet to begin
    await group.stop()
    await asyncio.wait_for(group.run(), timeout=10)
    task = asyncio.create_task(group.run())
    await asyncio.wait_for(group.stop(), timeout=10)
    await asyncio.wait_for(task, timeout=10)
    assert seen.events == []
    # when it runs once more
    async with serving(group) as again:
        await until(partial(seen.reached, 3), again)
    await group.stop()
    await store.append("run", noted())
    # then, and by what ends by itself, all is handled
    assert await group.run_to_end() == 1
    assert seen.by_run() == {"run": [1, 2, 3, 4]}


async def test_an_idle_group_stops_at_once(store: EventStore) -> None:
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    async with serving(group) as task:
        await store.append("run", noted())
        await until(lambda: seen.events, task)
        await asyncio.wait_for(group.stop(), timeout=1)

    assert task.done()


async def test_a_group_runs_again_after_it_stopped(store: EventStore) -> None:
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    for count in range(1, 4):
        async with serving(group) as task:
            await store.append("run", noted())
            await until(partial(seen.reached, count), task)

    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_one_object_does_one_thing_at_a_time(store: EventStore) -> None:
    group = ConsumerGroup(store, "g", Seen(), create=True)
    async with serving(group):
        await asyncio.sleep(0)
        with pytest.raises(InvalidArgument, match="at work"):
            await group.run_to_end()


async def test_a_cancelled_group_leaves_its_events_pending(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(3))
    begun = asyncio.Event()
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        if event.version == 2:
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ConsumerGroup(store, "g", handle, create=True, member="m").run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert pending(store, server.admin, "g") == 2
    await ConsumerGroup(store, "g", seen, member="m").run_to_end()
    assert seen.by_run() == {"run": [2, 3]}
