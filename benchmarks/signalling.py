"""Signals to whoever waits for them, among few and among very many who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import orjson

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from eventstore import Append, NewEvent
from eventstore.watches import prefix_of
from replay import RunControl, SyncRunControl

MANY = 100_000
FEW = 1_000
TASKS = 100
EVENTS = 10
"""Events that a run has before it pauses."""
WATCHES_A_RUN = 1_000
PAGE = 500
FLOOR_SCRIPT = """
redis.call('ZREM', KEYS[2], ARGV[1])
for place = 2, #ARGV do redis.call('XADD', KEYS[1], '*', 'e', ARGV[place]) end
return redis.call('ZADD', KEYS[2], 0, ARGV[1])
"""
_sources = count(1)


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure one signal for one run, one signal for many, and one that must look at all."""
    for waiting in (FEW, ground.scaled(MANY)):
        with opened(ground, "signal") as stores:
            yield _one_of_many(ground, stores, waiting)
    with opened(ground, "broadcast") as stores:
        yield _to_all(ground, stores)
    with opened(ground, "scan") as stores:
        yield _nobody(ground, stores)


class _Waiting:
    """Runs that wait, each for the payment of an order of its own, or all for the same."""

    def __init__(self, stores: Stores, amount: int, kind: str, *, by_order: bool) -> None:
        self._stores = stores
        self._kind = kind
        self._by_order = by_order
        self.ids = samples.run_ids(amount)
        events = [NewEvent("run.created", {"input": {}}), *samples.events(EVENTS - 1)]
        stores.blocking.append_many(
            Append(run_id, [*events, self._paused(n)]) for n, run_id in enumerate(self.ids)
        )

    def _paused(self, number: int) -> NewEvent:
        condition = {"field": "order.id", "op": "==", "value": number}
        waited = {"type": self._kind, "conditions": [condition] if self._by_order else []}
        pause = {"pause_id": "payment", "window_ms": None, "on_expiry": "park"}
        return NewEvent("run.paused", {**pause, "state": {}, "wait_for": [waited]})

    def pause_again(self, numbers: Sequence[int]) -> None:
        """Let runs wait once more."""
        self._stores.blocking.append_many(
            Append(self.ids[number], self._paused(number)) for number in numbers
        )

    def index_bytes(self, client: floors.Client) -> float:
        """Give what an entry of the index takes, and its name in the head of its run."""
        keys = self._stores.keys
        names = [keys.watches(partition) for partition in range(keys.partitions)]
        self.pause_again(range(len(self.ids)))
        index = sum(client.memory_usage(name, samples=0) or 0 for name in names)
        head: bytes = client.hget(keys.head(self.ids[0]), "w:p:payment")
        return round(index / len(self.ids) + len(head))


def _one_of_many(ground: Ground, stores: Stores, waiting: int) -> Contest:
    amount = min(ground.scaled(400), waiting)
    runs = _Waiting(stores, waiting, "paid", by_order=True)
    numbers = range(0, waiting, waiting // amount)[:amount]
    client, control = ground.client(), SyncRunControl(stores.blocking)
    script = client.script_load(FLOOR_SCRIPT)
    encoded = [event.encoded for event in samples.events(2)]

    def one_after_the_other() -> int:
        for number in numbers:
            control.deliver("paid", {"order": {"id": number}}, source_id=f"s-{next(_sources)}")
        return len(numbers)

    async def side_by_side() -> int:
        service, left = RunControl(stores.asynchronous), list(numbers)

        async def task() -> None:
            while left:
                order = {"id": left.pop()}
                await service.deliver("paid", {"order": order}, source_id=f"s-{next(_sources)}")

        await asyncio.gather(*(task() for _ in range(TASKS)))
        return len(numbers)

    def plainly() -> int:
        for number in numbers:
            _signal_plainly(client, stores, script, number, encoded)
        return len(numbers)

    return Contest(
        f"a signal to one of {waiting:,} runs that wait, found by value",
        "signals",
        [Contender("16 x ZRANGEBYLEX, XRANGE + orjson, EVALSHA", plainly)],
        [
            Contender("blocking", one_after_the_other, lambda: runs.pause_again(numbers)),
            Contender(
                f"asyncio, {TASKS} tasks",
                lambda: stores.run(side_by_side()),
                lambda: runs.pause_again(numbers),
            ),
        ],
        lambda: {"bytes of an entry, index and head": runs.index_bytes(client)},
    )


def _signal_plainly(
    client: floors.Client, stores: Stores, script: str, number: int, encoded: Sequence[bytes]
) -> None:
    """Find who waits in every partition, read its run, and write two events in one script."""
    keys, prefix = stores.keys, prefix_of("paid", "order.id", number)
    pipeline = client.pipeline(transaction=False)
    for partition in range(keys.partitions):
        upper = f"({prefix[:-1]}\1"
        pipeline.zrangebylex(keys.watches(partition), f"[{prefix}", upper, start=0, num=PAGE)
    for found in pipeline.execute():
        for member in found:
            run_id = orjson.loads(member.split(b"\0", 3)[3])[0]
            watches = keys.watches(keys.partition_of(run_id))
            floors.read_runs(client, [keys.run(run_id)])
            client.evalsha(script, 2, floors.STREAM, watches, member, *encoded)


def _to_all(ground: Ground, stores: Stores) -> Contest:
    amount = ground.scaled(1_000)
    runs = _Waiting(stores, amount, "opened", by_order=False)
    client, control = ground.client(), SyncRunControl(stores.blocking)
    encoded = [event.encoded for event in samples.events(2)]

    def again() -> None:
        runs.pause_again(range(amount))

    def blocking() -> int:
        delivery = control.deliver("opened", {"shop": 1}, source_id=f"s-{next(_sources)}")
        assert len(delivery.resumed) == amount
        return amount

    async def asynchronous() -> int:
        service = RunControl(stores.asynchronous)
        delivery = await service.deliver("opened", {"shop": 1}, source_id=f"s-{next(_sources)}")
        assert len(delivery.resumed) == amount
        return amount

    def plainly() -> int:
        floors.read_runs(client, [stores.keys.run(run_id) for run_id in runs.ids])
        return floors.xadd_pipelined(client, encoded * amount) // len(encoded)

    return Contest(
        f"one signal to {amount:,} runs that wait for it",
        "runs",
        [Contender("XRANGE + orjson, two XADD in pipelines", plainly)],
        [
            Contender("blocking", blocking, again),
            Contender("asyncio", lambda: stores.run(asynchronous()), again),
        ],
    )


def _nobody(ground: Ground, stores: Stores) -> Contest:
    amount = ground.scaled(MANY)
    _watch_by_relation(stores, amount)
    client, control = ground.client(), SyncRunControl(stores.blocking)

    def deliver() -> int:
        assert control.deliver("rated", {"score": 1}).count == 0
        return amount

    def plainly() -> int:
        return sum(_read_index(client, stores, p) for p in range(stores.keys.partitions))

    return Contest(
        f"a signal that looks at all {amount:,} watches of its type, and fits none",
        "watches",
        [Contender("ZRANGEBYLEX by pages + orjson", plainly)],
        [Contender("blocking", deliver)],
    )


def _watch_by_relation(stores: Stores, amount: int) -> None:
    condition = {"field": "score", "op": ">", "value": 4}

    def watched(number: int) -> NewEvent:
        data: dict[str, Any] = {"watch_id": f"w{number}", "type": "rated"}
        return NewEvent("signal.watched", {**data, "conditions": [condition]})

    each = min(WATCHES_A_RUN, amount) - 1
    events = [NewEvent("run.created", {"input": {}}), *map(watched, range(each))]
    runs = samples.run_ids(amount // each)
    stores.blocking.append_many(Append(run_id, events) for run_id in runs)


def _read_index(client: floors.Client, stores: Stores, partition: int) -> int:
    name, lower, done = stores.keys.watches(partition), "[rated\0", 0
    while found := client.zrangebylex(name, lower, "(rated\1", start=0, num=PAGE):
        for member in found:
            orjson.loads(member.split(b"\0", 3)[3])
        lower, done = b"(" + found[-1], done + len(found)
    return done
