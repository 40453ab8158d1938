"""Pausing and resuming runs, and restoring those whose pause window ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import Append, NewEvent
from replay import Restorer, RunContext, RunControl, SyncRestorer, SyncRunControl

EVENTS = 10
"""Events that a run has before it pauses."""
TASKS = 100
WINDOW_S = 3_600
STATE = {"order": 4_711, "checked": samples.ANSWER}
LIMIT_RUNS = 500
"""Due windows that a restorer takes at a time."""
FLOOR_NAME = "bench-floor-restore"
FLOOR_SCRIPT = """
for _, event in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'e', event) end
return redis.call('ZREM', KEYS[2], KEYS[1])
"""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure pause and resume one after the other and from many tasks, then the restorer."""
    with opened(ground, "pause") as stores:
        yield _sequential(ground, stores)
        yield _crowd(ground, stores)
    ground.forget(floors.STREAM)
    with opened(ground, "restore") as stores:
        yield _windows(ground, stores)
    ground.forget(FLOOR_NAME)


def _sequential(ground: Ground, stores: Stores) -> Contest:
    runs = _Runs(stores, ground.scaled(400))
    client, control = ground.client(), SyncRunControl(stores.blocking)
    encoded = [event.encoded for event in samples.events(2)]

    def pause_and_resume() -> int:
        for run_id in runs.ids:
            control.pause(run_id, state=STATE, window=WINDOW_S, on_expiry="restore")
            control.resume(run_id, {"approved": True})
        return len(runs.ids)

    def three_calls() -> int:
        for run_id in runs.ids:
            client.xadd(floors.STREAM, {"e": encoded[0]})
            floors.read_runs(client, [stores.keys.run(run_id)])
            client.xadd(floors.STREAM, {"e": encoded[1]})
        return len(runs.ids)

    return Contest(
        f"pause and resume a run of {EVENTS} events",
        "round trips",
        [
            Contender("XADD, XRANGE + orjson, XADD", three_calls, runs.renew),
            Contender(
                floors.XADD_EACH, lambda: floors.xadd_each(client, encoded[:1] * len(runs.ids))
            ),
        ],
        [Contender("blocking, one after the other", pause_and_resume, runs.renew)],
    )


def _crowd(ground: Ground, stores: Stores) -> Contest:
    runs = _Runs(stores, max(TASKS, ground.scaled(600)))
    client = floors.wide_client(ground.url, TASKS)
    encoded = [event.encoded for event in samples.events(len(runs.ids))]
    control = RunControl(stores.asynchronous)

    async def pause_and_resume(part: Sequence[str]) -> None:
        for run_id in part:
            await control.pause(run_id, state=STATE, window=WINDOW_S, on_expiry="restore")
            await control.resume(run_id, {"approved": True})

    async def crowd() -> int:
        parts = (runs.ids[n::TASKS] for n in range(TASKS))
        await asyncio.gather(*map(pause_and_resume, parts))
        return len(runs.ids)

    return Contest(
        f"pause and resume, {TASKS} tasks",
        "round trips",
        [
            Contender(
                "c2: XADD, one call a task",
                lambda: stores.run(floors.xadd_tasks(client, encoded, TASKS)),
            )
        ],
        [Contender("asyncio", lambda: stores.run(crowd()), runs.renew)],
    )


class _Runs:
    """Runs that nobody has paused yet."""

    def __init__(self, stores: Stores, amount: int) -> None:
        self._stores = stores
        self._events = [NewEvent("run.created", {"input": {}}), *samples.events(EVENTS - 1)]
        self.ids = samples.run_ids(amount)

    def renew(self) -> None:
        self.ids = samples.run_ids(len(self.ids))
        self._stores.blocking.append_many(Append(run_id, self._events) for run_id in self.ids)


def _windows(ground: Ground, stores: Stores) -> Contest:
    amount = ground.scaled(2_000)
    pause = {"pause_id": "approval", "window_ms": 0, "on_expiry": "restore"}
    paused = NewEvent("run.paused", {**pause, "state": STATE, "resume_at": "step-1"})
    events = [NewEvent("run.created", {"input": {}}), *samples.events(EVENTS - 2), paused]
    client = ground.client()

    def pause_all() -> None:
        run_ids = samples.run_ids(amount)
        stores.blocking.append_many(Append(run_id, events) for run_id in run_ids)

    def one_after_the_other() -> int:
        restorer = SyncRestorer(stores.blocking, _take)
        while restorer.run_once(LIMIT_RUNS).scanned:
            pass
        assert restorer.counts.restored == amount
        return amount

    async def side_by_side() -> int:
        restorer = Restorer(stores.asynchronous, _take)
        while (await restorer.run_once(LIMIT_RUNS)).scanned:
            pass
        assert restorer.counts.restored == amount
        return amount

    return Contest(
        f"restore {amount:,} runs whose windows ended",
        "runs",
        [
            Contender(
                "ZRANGEBYSCORE, XRANGE + orjson, EVALSHA",
                lambda: _restore_plainly(client, amount),
                lambda: _prepare_plainly(client, amount, [event.encoded for event in events]),
            )
        ],
        [
            Contender("asyncio", lambda: stores.run(side_by_side()), pause_all),
            Contender("blocking", one_after_the_other, pause_all),
        ],
    )


def _take(_context: RunContext) -> None:
    """Be the worker that takes a restored run."""


def _prepare_plainly(client: floors.Client, amount: int, encoded: Sequence[bytes]) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(amount):
        key = f"{FLOOR_NAME}-{number}"
        pipeline.delete(key)
        for event in encoded:
            pipeline.xadd(key, {"e": event})
        pipeline.zadd(f"{FLOOR_NAME}-due", {key: number})
    pipeline.execute()


def _restore_plainly(client: floors.Client, amount: int) -> int:
    """Find what is due, read each run, and write three events in one script."""
    script = client.script_load(FLOOR_SCRIPT)
    encoded = [event.encoded for event in samples.events(3)]
    due = f"{FLOOR_NAME}-due"
    while found := client.zrangebyscore(due, 0, amount, start=0, num=LIMIT_RUNS):
        for key in found:
            floors.read_runs(client, [key])
            client.evalsha(script, 2, key, due, *encoded)
    return amount
