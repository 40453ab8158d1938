"""Appends of 1, 20 and 100 events a call, and one event each from many asyncio tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks import floors, samples
from benchmarks.harness import Contender, Contest, Ground
from eventstore import EventStore, NewEvent, SyncEventStore
from eventstore.appends import Append

NAMESPACE = "bench-append"
CALLERS = 4
"""Threads that share the blocking store."""
TASKS = 20
"""Tasks that share the asyncio store, where calls carry several events."""

Batches = Sequence[tuple[str, Sequence[NewEvent]]]


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure both stores, one caller and several."""
    with (
        asyncio.Runner() as runner,
        SyncEventStore.open(ground.url, namespace=NAMESPACE) as store,
    ):
        async_store = EventStore.open(ground.url, namespace=NAMESPACE)
        runner.run(async_store.start())
        try:
            for size in (20, 100):
                yield _calls_of(ground, size, store, async_store, runner)
            yield _one_a_call(ground, store, async_store, runner)
        finally:
            runner.run(async_store.close())
            ground.forget(NAMESPACE, floors.STREAM)


def _calls_of(
    ground: Ground,
    size: int,
    store: SyncEventStore,
    async_store: EventStore,
    runner: asyncio.Runner,
) -> Contest:
    total = ground.scaled(20_000, least=2_000)
    events = samples.events(total)
    encoded = [event.encoded for event in events]
    groups = [events[start : start + size] for start in range(0, total, size)]
    client = ground.client()
    plain_async = floors.wide_client(ground.url, 2)

    def building() -> int:
        for run_id, group in _addressed(groups):
            store.append(run_id, samples.events(len(group)))
        return total

    return Contest(
        f"append {size} a call",
        "events",
        [Contender("a: XADD, pipelines of 50", lambda: floors.xadd_pipelined(client, encoded))],
        [
            Contender("sync, 1 caller", lambda: _sync(store, groups), target=0.8),
            Contender(f"sync, {CALLERS} threads", lambda: _threads(store, groups)),
            Contender("sync, building the events too", building),
            Contender(
                "asyncio, 1 task", lambda: runner.run(_tasks(async_store, _addressed(groups), 1))
            ),
            Contender(
                f"asyncio, {TASKS} tasks",
                lambda: runner.run(_tasks(async_store, _addressed(groups), TASKS)),
                target=0.8,
            ),
            Contender(
                "(XADD, pipelines of 50, asyncio)",
                lambda: runner.run(floors.xadd_pipelined_async(plain_async, encoded)),
            ),
        ],
    )


def _one_a_call(
    ground: Ground, store: SyncEventStore, async_store: EventStore, runner: asyncio.Runner
) -> Contest:
    events = samples.events(ground.scaled(4_000, least=500))
    encoded = [event.encoded for event in events]
    client = ground.client()
    groups = [[event] for event in events]

    def together() -> int:
        store.append_many(Append(run_id, group) for run_id, group in _addressed(groups))
        return len(events)

    return Contest(
        "append 1 a call",
        "events",
        [Contender("b: XADD, one a round trip", lambda: floors.xadd_each(client, encoded))],
        [
            Contender("sync, 1 caller", lambda: _sync(store, groups)),
            Contender(f"sync, {CALLERS} threads", lambda: _threads(store, groups)),
            Contender(
                "asyncio, 1 task", lambda: runner.run(_tasks(async_store, _addressed(groups), 1))
            ),
            Contender("sync, append_many", together),
            Contender(
                "(XADD, pipelines of 50)", lambda: floors.xadd_pipelined(client, encoded)
            ),
        ],
    )


def _addressed(groups: Sequence[Sequence[NewEvent]]) -> Batches:
    """Give each group a run of its own."""
    return list(zip(samples.run_ids(len(groups)), groups, strict=True))


def _sync(store: SyncEventStore, groups: Sequence[Sequence[NewEvent]]) -> int:
    for run_id, group in _addressed(groups):
        store.append(run_id, group)
    return sum(map(len, groups))


def _threads(store: SyncEventStore, groups: Sequence[Sequence[NewEvent]]) -> int:
    with ThreadPoolExecutor(CALLERS) as pool:
        parts = [groups[n::CALLERS] for n in range(CALLERS)]
        return sum(pool.map(lambda part: _sync(store, part), parts))


async def _tasks(store: EventStore, batches: Batches, tasks: int) -> int:
    async def caller(part: Batches) -> None:
        for run_id, group in part:
            await store.append(run_id, group)

    await asyncio.gather(*(caller(batches[n::tasks]) for n in range(tasks)))
    return sum(len(group) for _, group in batches)


