"""How long an event takes from its append to its handler, on an idle system."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import ConsumerGroup, RecordedEvent
from eventstore.groups.status.groups import Groups

_BLOCK_MS = 2_000
_SETTLED_S = 0.0005
"""Between two appends: both sides have gone to sleep again."""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure one event at a time: appended, and waited for in the handler."""
    with opened(ground, "wake") as stores:
        events = ground.scaled(1_000)
        ours, floor = _Woken(ground, stores), _Blocked(ground, stores)
        yield Contest(
            "append to handler, idle",
            "events",
            [Contender("append, then XREADGROUP BLOCK returns", lambda: floor.wake(events))],
            [Contender("append, then the handler is called", lambda: ours.wake(events))],
            lambda: {"ours, ms": ours.shown, "floor, ms": floor.shown},
        )


class _Waits:
    """Times from before the append until the other side has the event."""

    def __init__(self, ground: Ground, stores: Stores) -> None:
        self.ground = ground
        self.stores = stores
        self.waits_ms: list[float] = []

    @property
    def shown(self) -> str:
        """The median and the 99th percentile."""
        ordered = sorted(self.waits_ms)
        p99 = ordered[int(len(ordered) * 0.99)]
        return f"median {statistics.median(ordered):.2f}, p99 {p99:.2f}"

    def append_each(self, events: int, came: threading.Event, last: list[float]) -> int:
        """Append one event after the other; each waits until the one before has come."""
        for run_id, event in zip(samples.run_ids(events), samples.events(events), strict=True):
            came.clear()
            begun = time.perf_counter()
            self.stores.blocking.append(run_id, event)
            came.wait()
            self.waits_ms.append((last[0] - begun) * 1_000)
            time.sleep(_SETTLED_S)
        return events


class _Woken(_Waits):
    """A consumer group in a thread of its own."""

    def wake(self, events: int) -> int:
        """Serve while events are appended."""
        came, ready, last = threading.Event(), threading.Event(), [0.0]

        async def handle(_event: RecordedEvent) -> None:
            last[0] = time.perf_counter()
            came.set()

        async def serve() -> None:
            store = self.stores.asynchronous
            name = self.ground.new_name("group")
            await Groups(store).create(name, "end")
            group = ConsumerGroup(store, name, handle)
            loop = asyncio.get_running_loop()
            stops.append(lambda: loop.call_soon_threadsafe(group.stop))
            loop.call_soon(ready.set)
            await group.run()

        stops: list[Callable[[], object]] = []
        thread = threading.Thread(target=lambda: self.stores.run(serve()))
        thread.start()
        ready.wait()
        try:
            return self.append_each(events, came, last)
        finally:
            stops[0]()
            thread.join()


class _Blocked(_Waits):
    """A plain XREADGROUP BLOCK in a thread of its own."""

    def wake(self, events: int) -> int:
        """Read while events are appended."""
        came, last, stopped = threading.Event(), [0.0], threading.Event()
        group = self.ground.new_name("group")
        client: Any = self.ground.client()
        keys = self.stores.keys
        logs = {keys.log(p): ">" for p in range(keys.partitions)}
        for log in logs:
            client.xgroup_create(log, group, id="$", mkstream=True)

        def read() -> None:
            while not stopped.is_set():
                for log, entries in client.xreadgroup(group, "m", logs, block=_BLOCK_MS) or ():
                    last[0] = time.perf_counter()
                    came.set()
                    client.xack(log, group, *(entry_id for entry_id, _ in entries))

        thread = threading.Thread(target=read)
        thread.start()
        try:
            return self.append_each(events, came, last)
        finally:
            stopped.set()
            self.stores.blocking.append(self.ground.new_name("run"), samples.events(1))
            thread.join()
