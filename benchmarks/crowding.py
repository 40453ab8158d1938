"""One event each from 100 and from 1,000 asyncio tasks at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from redis.asyncio import Redis

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import ANY, Append, EventStore, NewEvent
from eventstore.appends import prepare
from eventstore.commands import append_batch, script_text
from eventstore.keys import Keys
from eventstore.settings import Settings

CONNECTIONS = 100
"""Connections of the floors: with 1,000 of them they are slower still."""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure appends that wait together against one call a task."""
    with opened(ground, "crowd") as stores:
        for tasks in (100, 1_000):
            yield _contest(ground, stores, tasks)
    ground.forget(floors.STREAM)


def _contest(ground: Ground, stores: Stores, tasks: int) -> Contest:
    events = samples.events(max(tasks, ground.scaled(4_000)))
    encoded = [event.encoded for event in events]
    name = ground.new_name("floor")
    client = floors.wide_client(ground.url, CONNECTIONS, name)

    def facts() -> dict[str, Any]:
        return {
            "connections of the floors": ground.connections(name),
            "connections of the asyncio store": ground.connections(stores.namespace),
        }

    return Contest(
        f"append, {tasks:,} tasks of 1 event",
        "events",
        [
            Contender(
                "c1: our append, one call a task",
                lambda: stores.run(_one_call_a_task(client, stores.keys, events, tasks)),
            ),
            Contender(
                "c2: XADD, one call a task",
                lambda: stores.run(floors.xadd_tasks(client, encoded, tasks)),
            ),
        ],
        [
            Contender(
                "asyncio",
                lambda: stores.run(_append(stores.asynchronous, events, tasks)),
                target=5 if tasks == 1_000 else None,
            )
        ],
        facts,
    )


async def _append(store: EventStore, events: Sequence[NewEvent], tasks: int) -> int:
    run_ids = samples.run_ids(len(events))
    for start in range(0, len(events), tasks):
        span = slice(start, start + tasks)
        pairs = zip(run_ids[span], events[span], strict=True)
        await asyncio.gather(*(store.append(run_id, event) for run_id, event in pairs))
    return len(events)


async def _one_call_a_task(
    client: Redis, keys: Keys, events: Sequence[NewEvent], tasks: int
) -> int:
    """Send the very same append, each task by itself: what it would be if none travelled along."""
    digest = await client.script_load(script_text("append"))
    settings = Settings()

    async def append(run_id: str, event: NewEvent) -> None:
        prepared = prepare(Append(run_id, event, ANY), settings)
        command = append_batch(keys, keys.partition_of(run_id), [(prepared, False)])
        command.decode(await client.evalsha(digest, *command.words))

    run_ids = samples.run_ids(len(events))
    for start in range(0, len(events), tasks):
        span = slice(start, start + tasks)
        pairs = zip(run_ids[span], events[span], strict=True)
        await asyncio.gather(*(append(run_id, event) for run_id, event in pairs))
    return len(events)
