"""Many pause windows that end within a minute, and two restorers: how many a second, how late."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks import samples
from benchmarks.ground import Ground
from benchmarks.harness import Contest
from eventstore import Append, EventStore, NewEvent, SyncEventStore
from replay import Lateness, Restorer, RunContext

RUNS = 100_000
WITHIN_S = 60
RESTORERS = 2
LIMIT_RUNS = 500
"""Due windows that a restorer takes at a time."""
AT_ONCE = 2_000
EVENTS = 10
STATE = {"order": 4_711, "checked": samples.ANSWER}
PATIENCE_S = 1_200
PROCESSES = multiprocessing.get_context("spawn")


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure once; there is nothing to compare it with but the deadlines themselves."""
    amount, within_s = ground.scaled(RUNS), ground.scaled(WITHIN_S)
    found = _measured(ground, amount, within_s)
    subject = f"{amount:,} windows that end within {within_s} s, {RESTORERS} restorers"
    yield Contest(subject, "runs", [], [], lambda: found)


def _measured(ground: Ground, amount: int, within_s: int) -> dict[str, Any]:
    name = ground.new_name("expire")
    queue, stop = PROCESSES.Queue(), PROCESSES.Event()
    with SyncEventStore.open(ground.url, namespace=name) as store:
        before = _memory(ground)
        first_ms = _pause_all(store, amount, within_s)
        paused = _memory(ground)
        restorers = [
            PROCESSES.Process(target=_restore, args=(ground.url, name, queue, stop))
            for _ in range(RESTORERS)
        ]
        for restorer in restorers:
            restorer.start()
        _wait_until_none_is_due(ground, store)
        stop.set()
        outcomes = [queue.get(timeout=PATIENCE_S) for _ in restorers]
        for restorer in restorers:
            restorer.join()
        after = _memory(ground)
    ground.forget(name)
    lateness = Lateness()
    for _, late, _ in outcomes:
        lateness.add(late)
    assert sum(restored for restored, _, _ in outcomes) == amount
    took_s = max(last_s for _, _, last_s in outcomes) - first_ms / 1_000
    return {
        "restored a second": f"{amount / took_s:,.0f} (windows ended at {amount / within_s:,.0f})",
        "late": str(lateness),
        "memory before, paused, restored": " / ".join(
            f"{size / 2**20:,.0f} MiB" for size in (before, paused, after)
        ),
    }


def _pause_all(store: SyncEventStore, amount: int, within_s: int) -> int:
    """Pause all runs; give when the first window ends, in ms since 1970."""
    events = [NewEvent("run.created", {"input": {}}), *samples.events(EVENTS - 2)]
    begin_s = 0.0
    for start in range(0, amount, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, amount))
        if not start:
            begin_s = time.time() + _seconds_to_write(store, events) * amount / AT_ONCE + 2
        store.append_many(
            Append(f"run-{number}", [*events, _paused(begin_s + within_s * number / amount)])
            for number in numbers
        )
    return round(begin_s * 1_000)


def _seconds_to_write(store: SyncEventStore, events: list[NewEvent]) -> float:
    """Give how long writing runs may take, with something to spare."""
    begun_s = time.perf_counter()
    store.append_many(Append(f"trial-{number}", events) for number in range(AT_ONCE))
    return 1.5 * (time.perf_counter() - begun_s)


def _paused(ends_s: float) -> NewEvent:
    window_ms = max(0, round((ends_s - time.time()) * 1_000))
    pause = {"pause_id": "approval", "window_ms": window_ms, "on_expiry": "restore"}
    return NewEvent("run.paused", {**pause, "state": STATE, "resume_at": "step-1"})


def _wait_until_none_is_due(ground: Ground, store: SyncEventStore) -> None:
    keys = store.operations.keys
    deadline_s = time.monotonic() + PATIENCE_S
    with ground.client() as client:
        while any(client.zcard(keys.due(partition)) for partition in range(keys.partitions)):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def _restore(url: str, namespace: str, queue: Any, stop: Event) -> None:
    """Be a restorer; put how many it restored, how late, and when it was done last."""
    queue.put(asyncio.run(_restoring(url, namespace, stop)))


async def _restoring(url: str, namespace: str, stop: Event) -> tuple[int, Lateness, float]:
    last_s = 0.0
    async with EventStore.open(url, namespace=namespace) as store:
        restorer = Restorer(store, _take)
        while not stop.is_set():
            if (await restorer.run_once(LIMIT_RUNS)).scanned:
                last_s = time.time()
            else:
                await asyncio.sleep(0.02)
    return restorer.counts.restored, restorer.counts.lateness, last_s


def _take(_context: RunContext) -> None:
    """Be the worker that takes a restored run."""


def _memory(ground: Ground) -> int:
    with ground.client() as client:
        return int(client.info("memory")["used_memory"])
