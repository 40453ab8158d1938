"""Appends of 20 and 100 events a call, and of one: one caller, and several of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import Append, EventStore, NewEvent, SyncEventStore

THREADS = 4
"""Threads that share the blocking store."""
TASKS = 20
"""Tasks that share the asyncio store."""

Groups = Sequence[Sequence[NewEvent]]


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure both stores against pipelines and single round trips."""
    with opened(ground, "append") as stores:
        for size in (20, 100):
            yield _many_a_call(ground, stores, size)
        yield _one_a_call(ground, stores)
    ground.forget(floors.STREAM)


def _many_a_call(ground: Ground, stores: Stores, size: int) -> Contest:
    events = samples.events(ground.scaled(20_000))
    encoded = [event.encoded for event in events]
    groups = [events[start : start + size] for start in range(0, len(events), size)]
    client, plain = ground.client(), floors.wide_client(ground.url, 1)
    store = stores.blocking
    return Contest(
        f"append, {size} events a call",
        "events",
        [Contender(floors.XADD_PIPELINED, lambda: floors.xadd_pipelined(client, encoded))],
        [
            Contender("blocking, 1 caller", lambda: _one_caller(store, groups)),
            Contender("blocking, append_many", lambda: _together(store, groups), target=0.8),
            Contender(f"blocking, {THREADS} threads", lambda: _threads(store, groups)),
            Contender("blocking, 1 caller, events built", lambda: _building(store, groups)),
            Contender(
                "asyncio, 1 task", lambda: stores.run(_tasks(stores.asynchronous, groups, 1))
            ),
            Contender(
                f"asyncio, {TASKS} tasks",
                lambda: stores.run(_tasks(stores.asynchronous, groups, TASKS)),
                target=0.8,
            ),
            Contender(
                "(floor a with asyncio)",
                lambda: stores.run(floors.xadd_pipelined_async(plain, encoded)),
            ),
        ],
    )


def _one_a_call(ground: Ground, stores: Stores) -> Contest:
    events = samples.events(ground.scaled(3_000))
    encoded = [event.encoded for event in events]
    groups = [[event] for event in events]
    client, store = ground.client(), stores.blocking
    return Contest(
        "append, 1 event a call",
        "events",
        [Contender(floors.XADD_EACH, lambda: floors.xadd_each(client, encoded))],
        [
            Contender("blocking, 1 caller", lambda: _one_caller(store, groups)),
            Contender("blocking, append_many", lambda: _together(store, groups)),
            Contender(f"blocking, {THREADS} threads", lambda: _threads(store, groups)),
            Contender(
                "asyncio, 1 task", lambda: stores.run(_tasks(stores.asynchronous, groups, 1))
            ),
            Contender("(floor a)", lambda: floors.xadd_pipelined(client, encoded)),
        ],
    )


def _addressed(groups: Groups) -> list[tuple[str, Sequence[NewEvent]]]:
    """Give each call a new run."""
    return list(zip(samples.run_ids(len(groups)), groups, strict=True))


def _one_caller(store: SyncEventStore, groups: Groups) -> int:
    for run_id, group in _addressed(groups):
        store.append(run_id, group)
    return sum(map(len, groups))


def _building(store: SyncEventStore, groups: Groups) -> int:
    for run_id, group in _addressed(groups):
        store.append(run_id, samples.events(len(group)))
    return sum(map(len, groups))


def _together(store: SyncEventStore, groups: Groups) -> int:
    outcomes = store.append_many(Append(run_id, group) for run_id, group in _addressed(groups))
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    return sum(map(len, groups))


def _threads(store: SyncEventStore, groups: Groups) -> int:
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [groups[n::THREADS] for n in range(THREADS)]
        return sum(pool.map(lambda part: _one_caller(store, part), parts))


async def _tasks(store: EventStore, groups: Groups, tasks: int) -> int:
    batches = _addressed(groups)

    async def caller(part: Sequence[tuple[str, Sequence[NewEvent]]]) -> None:
        for run_id, group in part:
            await store.append(run_id, group)

    await asyncio.gather(*(caller(batches[n::tasks]) for n in range(tasks)))
    return sum(map(len, groups))
