"""One event each from 100 and from 1,000 asyncio tasks at the same time, each to its own run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from redis.asyncio import Redis

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import Append, NewEvent
from eventstore.appends import prepare
from eventstore.commands import append_batch, script_text
from eventstore.keys import Keys
from eventstore.settings import Settings

FEW_CONNECTIONS = 50
"""With so many the calls of single tasks go fastest; the tasks wait for a free one."""

AppendOne = Callable[[str, NewEvent], Awaitable[Any]]


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure appends that wait together against one call a task."""
    with opened(ground, "crowd") as stores:
        for tasks in (100, 1_000):
            yield _contest(ground, stores, tasks)
    ground.forget(floors.STREAM)


def _contest(ground: Ground, stores: Stores, tasks: int) -> Contest:
    events = samples.events(tasks)
    encoded = [event.encoded for event in events]
    run_ids = samples.run_ids(tasks)
    name = ground.new_name("one-call-a-task")
    wide = floors.wide_client(ground.url, tasks, name)
    narrow = floors.wide_client(ground.url, FEW_CONNECTIONS)

    def crowd(append: AppendOne) -> int:
        return stores.run(_crowd(append, run_ids, events))

    def facts() -> dict[str, Any]:
        return {
            "connections, one call a task": ground.connections(name),
            "connections, ours": ground.connections(stores.namespace),
        }

    return Contest(
        f"append, {tasks:,} tasks of 1 event",
        "events",
        [
            Contender(
                "c: our append, one call a task",
                lambda: crowd(_OneCallATask(wide, stores.keys).append),
            ),
            Contender(
                "XADD, one call a task",
                lambda: stores.run(floors.xadd_tasks(wide, encoded, tasks)),
            ),
        ],
        [
            Contender(
                "asyncio",
                lambda: crowd(stores.asynchronous.append),
                target=5 if tasks == 1_000 else None,
            ),
            Contender(
                f"(floor c with {FEW_CONNECTIONS} connections)",
                lambda: crowd(_OneCallATask(narrow, stores.keys).append),
            ),
        ],
        facts,
    )


async def _crowd(append: AppendOne, run_ids: Sequence[str], events: Sequence[NewEvent]) -> int:
    pairs = zip(run_ids, events, strict=True)
    await asyncio.gather(*(append(run_id, event) for run_id, event in pairs))
    return len(events)


class _OneCallATask:
    """Sends the very same appends, each in a call of its own."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._keys = keys
        self._settings = Settings()
        self._script = client.register_script(script_text("append"))

    async def append(self, run_id: str, event: NewEvent) -> None:
        prepared = prepare(Append(run_id, event), self._settings)
        command = append_batch(self._keys, self._keys.partition_of(run_id), [(prepared, False)])
        key_count, *words = command.words
        command.decode(await self._script(words[:key_count], words[key_count:]))
