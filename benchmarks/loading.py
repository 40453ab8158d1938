"""Loading a run of 20 events, and folding it into its state."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import opened
from eventstore import Append, EventStore, SyncEventStore
from projections import fold

EVENTS = 20
TASKS = 20


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure one caller and several."""
    with opened(ground, "load") as stores:
        run_ids = samples.run_ids(ground.scaled(1_000))
        events = samples.events(EVENTS)
        stores.blocking.append_many(Append(run_id, events) for run_id in run_ids)
        keys = [stores.keys.run(run_id) for run_id in run_ids]
        client, store = ground.client(), stores.blocking
        yield Contest(
            f"load a run of {EVENTS} events",
            "runs",
            [Contender("d: XRANGE + orjson", lambda: floors.read_runs(client, keys))],
            [
                Contender("blocking, load", lambda: _load(store, run_ids), target=0.5),
                Contender("blocking, load and fold", lambda: _load_and_fold(store, run_ids)),
                Contender(
                    "asyncio, load, 1 task",
                    lambda: stores.run(_tasks(stores.asynchronous, run_ids, 1)),
                ),
                Contender(
                    f"asyncio, load, {TASKS} tasks",
                    lambda: stores.run(_tasks(stores.asynchronous, run_ids, TASKS)),
                ),
            ],
        )


def _load(store: SyncEventStore, run_ids: Sequence[str]) -> int:
    for run_id in run_ids:
        assert len(store.load(run_id)) == EVENTS
    return len(run_ids)


def _load_and_fold(store: SyncEventStore, run_ids: Sequence[str]) -> int:
    for run_id in run_ids:
        assert fold(store.load(run_id)).version == EVENTS
    return len(run_ids)


async def _tasks(store: EventStore, run_ids: Sequence[str], tasks: int) -> int:
    async def caller(part: Sequence[str]) -> None:
        for run_id in part:
            await store.load(run_id)

    await asyncio.gather(*(caller(run_ids[n::tasks]) for n in range(tasks)))
    return len(run_ids)
