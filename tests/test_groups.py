"""Consumer groups: each event handled, each run in order, failures retried, a good end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from group_samples import AT_ONCE, Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    NewEvent,
    Position,
    RecordedEvent,
    SyncEventStore,
    UnknownGroup,
)
from eventstore.groups import Backoff, ConsumerGroup


async def test_every_event_is_handled_once_and_each_run_in_order(
    store: EventStore, server: AnyServer
) -> None:
    expected = await fill(store, runs=40, each=10)
    seen = Seen()

    handled = await ConsumerGroup(store, "g", seen, create=True, batch_events=64).run_to_end()

    assert handled == len(seen.events) == 400
    assert seen.by_run() == expected
    assert pending(store, server.admin, "g") == 0


async def test_an_event_comes_to_the_handler_as_it_was_recorded(store: EventStore) -> None:
    event = NewEvent("order.placed", {"total": 7}, workflow_id="shop", meta={"actor": "ann"})
    await store.append("run", event)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True).run_to_end()

    assert seen.events == await store.load("run")


async def test_a_running_group_handles_what_is_appended_meanwhile(store: EventStore) -> None:
    seen = Seen()
    async with serving(ConsumerGroup(store, "g", seen, create=True)) as task:
        for count in range(1, 6):
            await store.append("run", noted())
            await until(partial(seen.reached, count), task)

    assert seen.by_run() == {"run": [1, 2, 3, 4, 5]}


async def test_two_groups_each_handle_everything(store: EventStore) -> None:
    expected = await fill(store, runs=10)
    one, other = Seen(), Seen()

    await ConsumerGroup(store, "one", one, create=True).run_to_end()
    await fill(store, runs=1, name="later")
    await ConsumerGroup(store, "other", other, create=True).run_to_end()

    assert one.by_run() == expected
    assert other.by_run() == expected | {"later-0": [1, 2, 3, 4, 5]}


async def test_members_of_one_group_share_the_events(store: EventStore) -> None:
    expected = await fill(store, runs=30, each=10)
    seen: list[tuple[str, int]] = []
    by_member: Counter[str] = Counter()

    async def handle(member: str, event: RecordedEvent) -> None:
        by_member[member] += 1
        seen.append((event.run_id, event.version))
        await asyncio.sleep(0)

    def member(name: str) -> ConsumerGroup:
        return ConsumerGroup(
            store, "g", partial(handle, name), create=True, member=name, batch_events=16
        )

    await asyncio.gather(member("a").run_to_end(), member("b").run_to_end())

    assert sorted(seen) == [(run, v) for run in sorted(expected) for v in expected[run]]
    assert min(by_member["a"], by_member["b"]) > 0


async def test_a_group_goes_on_where_its_last_member_left(store: EventStore) -> None:
    await store.append("run", notes(3))
    first, second = Seen(), Seen()
    await ConsumerGroup(store, "g", first, create=True).run_to_end()
    await store.append("run", notes(2))

    await ConsumerGroup(store, "g", second).run_to_end()

    assert (first.by_run(), second.by_run()) == ({"run": [1, 2, 3]}, {"run": [4, 5]})


async def test_runs_are_handled_side_by_side_up_to_the_limit(store: EventStore) -> None:
    await fill(store, runs=12, each=2)
    under_way: Counter[str] = Counter()
    most = 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal most
        under_way[event.run_id] += 1
        assert under_way[event.run_id] == 1, "one run is handled one event at a time"
        most = max(most, under_way.total())
        await asyncio.sleep(0.01)
        under_way[event.run_id] -= 1

    await ConsumerGroup(store, "g", handle, create=True, concurrency=4).run_to_end()

    assert most == 4


# Where a group starts


async def test_a_group_that_starts_at_the_end_sees_only_what_comes(store: EventStore) -> None:
    await fill(store, runs=20)
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True, start="end")
    assert await group.run_to_end() == 0

    await fill(store, runs=20, each=1)
    await group.run_to_end()

    assert seen.by_run() == {f"run-{n}": [6] for n in range(20)}


async def test_a_group_starts_after_positions_by_partition(store: EventStore) -> None:
    await fill(store, runs=20)
    positions = await store.tails()
    left_out = positions.pop(store.operations.keys.partition_of("run-0"))
    await fill(store, runs=20, each=1)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start=positions).run_to_end()

    whole = {f"run-{n}" for n in range(20) if _partition(store, f"run-{n}") == left_out.partition}
    assert "run-0" in whole
    assert seen.by_run() == {
        f"run-{n}": [1, 2, 3, 4, 5, 6] if f"run-{n}" in whole else [6] for n in range(20)
    }


def _partition(store: EventStore, run_id: str) -> int:
    return store.operations.keys.partition_of(run_id)


async def test_a_group_that_starts_after_one_position_misses_nothing_later(
    store: EventStore,
) -> None:
    await fill(store, runs=20)
    position = (await store.append("run-7", noted())).positions[-1]
    await fill(store, runs=20, each=1)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start=position).run_to_end()

    assert seen.by_run()["run-7"] == [7]
    assert all(seen.by_run()[f"run-{n}"][-1] >= 6 for n in range(20))
    assert all(event.recorded_at.timestamp() * 1000 >= position.ms - 1 for event in seen.events)


async def test_a_position_beyond_the_log_is_no_start(store: EventStore) -> None:
    at = (await store.append("run", noted())).positions[0]
    beyond = Position(at.partition, at.ms, at.n + 1)

    for start in (beyond, {at.partition: beyond}, Position(99, at.ms, at.n)):
        with pytest.raises(InvalidArgument, match="start"):
            await ConsumerGroup(store, "g", Seen(), create=True, start=start).run_to_end()

    with pytest.raises(UnknownGroup):
        await ConsumerGroup(store, "g", Seen()).run_to_end()


async def test_the_start_of_a_group_that_exists_counts_no_more(store: EventStore) -> None:
    await store.append("run", notes(3))
    await ConsumerGroup(store, "g", Seen(), create=True, start="end").run_to_end()
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True, start="beginning").run_to_end()

    assert seen.events == []


# Making groups


@pytest.mark.parametrize("verb", ["run", "run_once", "run_to_end"])
async def test_a_mistyped_group_is_an_error_that_names_the_known_ones(
    store: EventStore, server: AnyServer, namespace: str, verb: str
) -> None:
    await ConsumerGroup(store, "emails", Seen(), create=True).run_to_end()
    before = server.keys(namespace)

    with pytest.raises(UnknownGroup) as caught:
        await getattr(ConsumerGroup(store, "email", Seen()), verb)()

    assert vars(caught.value) == {"group": "email", "known": ("emails",)}
    assert server.keys(namespace) == before


async def test_a_group_is_registered_with_where_it_began(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await store.append("run", noted())
    tails = await store.tails()

    await ConsumerGroup(store, "g", Seen(), create=True, start="end").run_to_end()

    settings = orjson.loads(server.admin.hget(f"{namespace}:groups", "g"))
    assert settings["start"] == "end"
    assert settings["positions"] == [str(tails[partition]) for partition in range(16)]
    assert settings["created_ms"] >= max(tail.ms for tail in tails.values())


async def test_members_that_make_their_group_at_once_agree(store: EventStore) -> None:
    expected = await fill(store, runs=20)
    seen = Seen()

    members = [ConsumerGroup(store, "g", seen, create=True, lease_ms=500) for _ in range(5)]
    await asyncio.gather(*(member.run_to_end() for member in members))

    assert sorted(seen.places) == [(run, v) for run in sorted(expected) for v in expected[run]]


async def test_a_group_half_made_by_one_that_died_is_made_whole(
    store: EventStore, server: AnyServer
) -> None:
    expected = await fill(store, runs=20)
    log = store.operations.keys.log
    for partition in range(7):
        server.admin.xgroup_create(log(partition), "g", id="0", mkstream=True)
    seen = Seen()

    with pytest.raises(UnknownGroup):
        await ConsumerGroup(store, "g", seen).run_to_end()
    await ConsumerGroup(store, "g", seen, create=True).run_to_end()

    assert seen.by_run() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"handler": None},
        {"handler": "handle"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"member": ""},
        {"start": "middle"},
        {"start": 5},
        {"start": None},
        {"start": {0: "1-1"}},
        {"start": {1: Position(0, 1, 1)}},
        {"concurrency": 0},
        {"concurrency": True},
        {"batch_events": 0},
        {"max_in_hand_events": 0},
        {"lease_ms": -1},
        {"lease_ms": 1.5},
        {"drain_ms": -1},
        {"types": []},
        {"types": [""]},
        {"workflow_ids": [7]},
        {"backoff": 5},
    ],
)
async def test_bad_arguments_are_refused(sync_store: SyncEventStore, wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "g", "handler": Seen()}
    store = EventStore(sync_store.opening)

    with pytest.raises(InvalidArgument):
        ConsumerGroup(store, **good | wrong)


async def test_a_blocking_store_is_refused(sync_store: SyncEventStore) -> None:
    with pytest.raises(InvalidArgument, match="EventStore"):
        ConsumerGroup(sync_store, "g", Seen())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"first_ms": 0}, {"first_ms": 10, "max_ms": 9}, {"jitter": 1.1}, {"jitter": -0.1}]
)
def test_a_backoff_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Backoff(**wrong)


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


# Three verbs, and stopping


async def test_run_once_handles_one_batch_and_gives_zero_at_the_end(store: EventStore) -> None:
    await store.append("run", notes(25))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True, batch_events=160)

    counts = [await group.run_once() for _ in range(4)]
    await store.append("run", noted())

    assert counts == [10, 10, 5, 0]
    assert await group.run_once() == 1
    assert seen.by_run() == {"run": list(range(1, 27))}
    await group.stop()


async def test_run_once_tries_a_failed_run_again_after_its_pause(store: EventStore) -> None:
    await store.append("run", notes(2))
    seen = Seen()
    tries = 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("once")
        await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, backoff=Backoff(60_000, jitter=0))
    assert [await group.run_once(), await group.run_once()] == [1, 0]
    assert seen.events == []
    await group.stop()

    assert await ConsumerGroup(store, "g", handle, member=group.member).run_once() == 2
    assert seen.by_run() == {"run": [1, 2]}


async def test_stop_lets_handlers_finish_and_leaves_nothing_pending(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await fill(store, runs=20)
    seen = Seen()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(event: RecordedEvent) -> None:
        begun.set()
        await go_on.wait()
        await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, concurrency=3)
    task = asyncio.create_task(group.run())
    await begun.wait()
    assert server.admin.zcard(f"{namespace}:members:g") == 1
    stopped = group.stop()
    await store.append("later", noted())
    assert not stopped.done()
    go_on.set()
    await stopped
    await task

    assert len(seen.events) == group.counts.handled
    assert "later" not in seen.by_run()
    assert pending(store, server.admin, "g") == 0
    assert server.admin.zcard(f"{namespace}:members:g") == 0


async def test_stop_waits_no_longer_than_it_was_told(store: EventStore, server: AnyServer) -> None:
    await store.append("run", notes(3))
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(_: RecordedEvent) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    group = ConsumerGroup(store, "g", handle, create=True, drain_ms=50, member="m")
    task = asyncio.create_task(group.run())
    await begun.wait()
    await asyncio.wait_for(group.stop(), timeout=5)
    await task

    assert cancelled.is_set()
    assert pending(store, server.admin, "g") == 3
    seen = Seen()
    await ConsumerGroup(store, "g", seen, member="m").run_to_end()
    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_stop_does_not_wait_for_runs_that_failed(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(2))

    async def handle(_: RecordedEvent) -> None:
        raise RuntimeError("never")

    group = ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE, max_deliveries=1_000)
    task = asyncio.create_task(group.run())
    await until(lambda: group.counts.failed > 3, task)
    await asyncio.wait_for(group.stop(), timeout=5)
    await task
    failed = group.counts.failed

    assert pending(store, server.admin, "g") == 2
    for _ in range(100):  # longer than its pauses
        await store.tails()
    assert group.counts.failed == failed


async def test_a_handler_can_stop_its_group(store: EventStore) -> None:
    await store.append("run", notes(3))
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        await seen(event)
        group.stop()

    group = ConsumerGroup(store, "g", handle, create=True)
    await asyncio.wait_for(group.run(), timeout=10)

    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_stop_before_run_lets_that_end_at_once_and_the_next_one_serve(
    store: EventStore,
) -> None:
    await store.append("run", notes(3))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    # given a group that is stopped before, or while its task is yet to begin
    await group.stop()
    await asyncio.wait_for(group.run(), timeout=10)
    task = asyncio.create_task(group.run())
    await asyncio.wait_for(group.stop(), timeout=10)
    await asyncio.wait_for(task, timeout=10)
    assert seen.events == []
    # when it runs once more
    async with serving(group) as again:
        await until(partial(seen.reached, 3), again)
    await group.stop()
    await store.append("run", noted())
    # then, and by what ends by itself, all is handled
    assert await group.run_to_end() == 1
    assert seen.by_run() == {"run": [1, 2, 3, 4]}


async def test_an_idle_group_stops_at_once(store: EventStore) -> None:
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    async with serving(group) as task:
        await store.append("run", noted())
        await until(lambda: seen.events, task)
        await asyncio.wait_for(group.stop(), timeout=1)

    assert task.done()


async def test_a_group_runs_again_after_it_stopped(store: EventStore) -> None:
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    for count in range(1, 4):
        async with serving(group) as task:
            await store.append("run", noted())
            await until(partial(seen.reached, count), task)

    assert seen.by_run() == {"run": [1, 2, 3]}


async def test_one_object_does_one_thing_at_a_time(store: EventStore) -> None:
    group = ConsumerGroup(store, "g", Seen(), create=True)
    async with serving(group):
        await asyncio.sleep(0)
        with pytest.raises(InvalidArgument, match="at work"):
            await group.run_to_end()


async def test_a_cancelled_group_leaves_its_events_pending(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(3))
    begun = asyncio.Event()
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        if event.version == 2:
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ConsumerGroup(store, "g", handle, create=True, member="m").run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert pending(store, server.admin, "g") == 2
    await ConsumerGroup(store, "g", seen, member="m").run_to_end()
    assert seen.by_run() == {"run": [2, 3]}
