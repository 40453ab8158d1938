"""Consumer groups: what handlers see, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from group_samples import AT_ONCE, Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import (
    Delivery,
    EventStore,
    InvalidArgument,
    NewEvent,
    RecordedEvent,
)
from eventstore.groups import Backoff, ConsumerGroup

# What the handler sees


async def test_only_the_types_and_workflows_asked_for_reach_the_handler(
    store: EventStore, server: AnyServer
) -> None:
    for workflow in ("shop", "bank"):
        for kind in ("order.placed", "order.paid"):
            await store.append(f"{workflow}-run", NewEvent(kind, workflow_id=workflow))
    both, paid, shop = Seen(), Seen(), Seen()

    count = await ConsumerGroup(
        store, "both", both, create=True, types={"order.paid"}, workflow_ids=["shop"]
    ).run_to_end()
    await ConsumerGroup(store, "paid", paid, create=True, types="order.paid").run_to_end()
    await ConsumerGroup(store, "shop", shop, create=True, workflow_ids="shop").run_to_end()

    assert count == 4
    assert both.places == [("shop-run", 2)]
    assert sorted(paid.places) == [("bank-run", 2), ("shop-run", 2)]
    assert shop.places == [("shop-run", 1), ("shop-run", 2)]
    assert pending(store, server.admin, "both") == 0


async def test_a_plain_function_runs_in_threads_side_by_side(store: EventStore) -> None:
    await fill(store, runs=8, each=1)
    together = threading.Barrier(8, timeout=20)
    threads = set()

    def handle(_: RecordedEvent) -> None:
        together.wait()
        threads.add(threading.get_ident())

    await ConsumerGroup(store, "g", handle, create=True, concurrency=8).run_to_end()

    assert len(threads) == 8
    assert threading.get_ident() not in threads


async def test_a_plain_function_keeps_the_order_and_is_retried(store: EventStore) -> None:
    expected = await fill(store, runs=10)
    tries: Counter[tuple[str, int]] = Counter()
    seen: list[tuple[str, int]] = []

    def handle(event: RecordedEvent) -> None:
        place = (event.run_id, event.version)
        tries[place] += 1
        if tries[place] == 1 and event.version == 2:
            raise StopIteration  # which no future can carry
        seen.append(place)

    await ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE).run_to_end()

    assert {run: [v for r, v in seen if r == run] for run in expected} == expected


who = contextvars.ContextVar("who", default="nobody")


def takes_none() -> None: ...


def takes_three(event: RecordedEvent, delivery: Delivery, more: int) -> None: ...


async def yields(event: RecordedEvent) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("handler", ["print", None, takes_none, takes_three, yields])
async def test_what_cannot_handle_an_event_is_refused_before_it_parks_each_run(
    store: EventStore, handler: Any
) -> None:
    with pytest.raises(InvalidArgument, match="handler"):
        ConsumerGroup(store, "g", handler)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_a_member_that_an_async_handler_kept_from_its_loop_says_why_it_lost_the_lease(
    store: EventStore, server: AnyServer, caplog: pytest.LogCaptureFixture
) -> None:
    # given an async handler that blocks for longer than a lease, while another takes the partition
    blocked = threading.Event()

    async def handle(_: RecordedEvent, delivery: Delivery) -> None:
        if caplog.messages:
            return
        lease = store.operations.keys.lease(delivery.partition, "g")
        taken = {"owner": "another", "epoch": delivery.epoch + 1, "until": 0}
        server.admin.hset(lease, mapping=taken)
        blocked.wait(1)

    await store.append("run", noted())
    # when it is served
    await ConsumerGroup(store, "g", handle, create=True, lease_ms=500).run_to_end()
    # then
    (told,) = [text for text in caplog.messages if "lost the lease" in text]
    assert "it gave no sign of life for" in told
    assert "block the loop" in told


@pytest.mark.parametrize("shape", ["plain", "lambda", "partial", "object", "method"])
async def test_any_callable_can_be_a_handler(store: EventStore, shape: str) -> None:
    await store.append("run", notes(2))
    seen = Seen()
    done: list[tuple[str, str]] = []

    def plain(event: RecordedEvent) -> None:
        seen.events.append(event)
        done.append((who.get(), shape))

    shapes: dict[str, Callable[[RecordedEvent], Any]] = {
        "plain": plain,
        "lambda": lambda event: seen(event),  # noqa: PLW0108 - plain, and gives a coroutine
        "partial": partial(Seen.__call__, seen),
        "object": seen,
        "method": seen.__call__,
    }
    who.set("ann")
    await ConsumerGroup(store, "g", shapes[shape], create=True).run_to_end()

    assert seen.by_run() == {"run": [1, 2]}
    assert all(name == "ann" for name, _ in done)


# Failure


async def test_a_run_that_fails_waits_while_others_go_on(
    store: EventStore, server: AnyServer
) -> None:
    expected = await fill(store, runs=20)
    healed = asyncio.Event()
    tries = 0
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        if (event.run_id, event.version) == ("run-3", 2) and not healed.is_set():
            tries += 1
            raise RuntimeError("not yet")
        await seen(event)

    group = ConsumerGroup(
        store, "g", handle, create=True, backoff=AT_ONCE, max_deliveries=1_000_000
    )
    async with serving(group) as task:
        await until(lambda: len(seen.events) == 96 and tries >= 5, task)
        assert seen.by_run() == expected | {"run-3": [1]}
        assert group.counts.failed >= 5
        await store.append("run-4", noted())
        await until(lambda: seen.by_run()["run-4"][-1] == 6, task)
        await until(lambda: pending(store, server.admin, "g") == 4, task)
        healed.set()
        await until(lambda: len(seen.events) == 101, task)

    assert seen.by_run() == expected | {"run-4": [1, 2, 3, 4, 5, 6]}
    assert len(seen.places) == len(set(seen.places))


async def test_no_more_is_taken_than_may_be_in_hand(store: EventStore, server: AnyServer) -> None:
    await fill(store, runs=50, each=10)

    async def handle(_: RecordedEvent) -> None:
        raise RuntimeError("everything fails")

    group = ConsumerGroup(
        store,
        "g",
        handle,
        create=True,
        backoff=Backoff(first_ms=60_000),
        batch_events=16,
        max_in_hand_events=100,
        lease_ms=300,
    )
    members = store.operations.keys.members("g")
    async with serving(group) as task:
        await until(lambda: group.counts.failed, task)
        await until(lambda: pending(store, server.admin, "g") >= 100, task)
        # the member's loop has gone round, and might have taken more
        beat = server.admin.zscore(members, group.member)
        await until(lambda: server.admin.zscore(members, group.member) > beat, task)
        assert 100 <= pending(store, server.admin, "g") < 116


async def test_a_cancelled_call_inside_a_handler_is_a_failure_like_others(
    store: EventStore,
) -> None:
    await store.append("run", notes(2))
    seen = Seen()
    tries = 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncio.CancelledError
        await seen(event)

    await ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE).run_to_end()

    assert seen.by_run() == {"run": [1, 2]}


def test_pauses_double_up_to_their_bound_and_chance_shortens_them() -> None:
    backoff = Backoff(first_ms=100, max_ms=1_000, jitter=0.5)

    longest = [backoff.pause_s(failures, lambda: 0.0) for failures in (1, 2, 3, 4, 5, 10_000)]
    shortest = [backoff.pause_s(failures, lambda: 1.0) for failures in (1, 2, 3, 4, 5, 10_000)]

    assert longest == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert shortest == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
