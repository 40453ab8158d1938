"""Members share partitions by lease: who holds what, who is fenced, and how long that takes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from faults import soon
from group_samples import AT_ONCE, SOON_MS, Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, RecordedEvent
from eventstore.groups import Backoff, ConsumerGroup, Delivery, Park, Retry, Skip, leases
from eventstore.groups.hold import Hold, Membership
from eventstore.groups.member.shares import share
from eventstore.plan import single


def owners(store: EventStore, server: AnyServer, group: str = "g") -> list[str]:
    keys = store.operations.keys
    found = [server.admin.hget(keys.lease(p, group), "owner") for p in range(keys.partitions)]
    return [(owner or b"").decode() for owner in found]


def held(store: EventStore, server: AnyServer) -> dict[str, int]:
    found = owners(store, server)
    return {owner: found.count(owner) for owner in sorted(set(found))}


def member(store: EventStore, name: str, handler: Any = None, **more: Any) -> ConsumerGroup:
    settings = {"create": True, "member": name, "lease_ms": SOON_MS, "backoff": AT_ONCE} | more
    return ConsumerGroup(store, "g", handler or Seen(), **settings)


# Sharing


def test_shares_differ_by_one_at_most_and_cover_everything() -> None:
    for members in range(1, 40):
        names = [f"m{n}" for n in range(members)]
        shares = [share(name, names, 16) for name in names]
        assert sum(shares) == 16
        assert max(shares) - min(shares) <= 1


async def test_members_share_partitions_and_share_anew_when_one_joins_or_leaves(
    store: EventStore, server: AnyServer
) -> None:
    async with serving(member(store, "a")) as a:
        await until(lambda: held(store, server) == {"a": 16}, a)
        async with serving(member(store, "b")) as b:
            await until(lambda: held(store, server) == {"a": 8, "b": 8}, b)
            async with serving(member(store, "c")) as c:
                await until(lambda: held(store, server) == {"a": 6, "b": 5, "c": 5}, c)
            await until(lambda: held(store, server) == {"a": 8, "b": 8}, b)
        await until(lambda: held(store, server) == {"a": 16}, a)
    assert held(store, server) == {"": 16}


async def test_a_partition_with_a_handler_at_work_is_not_handed_on_where_another_can_be(
    server: AnyServer, namespace: str
) -> None:
    # given two partitions, one with a long handler and one where more waits, but for later
    async with EventStore.open(server.url, namespace=namespace, partitions=2) as store:
        keys, is_over = store.operations.keys, asyncio.Event()
        long, waiting = ({keys.partition_of(r): r for r in map(str, range(20))}[p] for p in (0, 1))

        async def handle(event: RecordedEvent) -> None:
            if event.run_id != long:
                raise Retry(3_600)
            await is_over.wait()

        await store.append(waiting, notes(3))
        await store.append(long, noted())
        a = member(store, "a", handle)
        async with serving(a) as task:
            await until(lambda: a.counts.failed, task)
            # when another joins
            async with serving(member(store, "b", handle, max_deliveries=10)) as other:
                await until(lambda: held(store, server) == {"a": 1, "b": 1}, other)
                # then it gets what can be had at once
                assert owners(store, server) == ["a", "b"]
                is_over.set()


async def test_what_moves_to_a_new_member_is_handled_in_order_and_once(
    store: EventStore, server: AnyServer
) -> None:
    seen = Seen()
    await fill(store, runs=40, each=1)
    async with serving(member(store, "a", seen)) as a:
        await until(partial(seen.reached, 40), a)
        async with serving(member(store, "b", seen)) as b:
            for _ in range(10):
                await fill(store, runs=40, each=1)
            await until(lambda: held(store, server) == {"a": 8, "b": 8}, b)
            await until(partial(seen.reached, 440), b)
    assert all(versions == list(range(1, 12)) for versions in seen.by_run().values())
    assert len(seen.places) == 440


async def test_a_member_that_comes_back_under_its_name_goes_on_at_once(
    store: EventStore, server: AnyServer
) -> None:
    # given a lease of an earlier life that lasts for long
    await fill(store, runs=20)
    keys = store.operations.keys
    await ConsumerGroup(store, "g", Seen(), create=True, start="beginning").run_to_end()
    far = server.admin.time()[0] * 1000 + 3_600_000
    for partition in range(keys.partitions):
        lease = keys.lease(partition, "g")
        server.admin.hset(lease, mapping={"owner": "m", "until": far, "epoch": 7, "clean": ""})
    await fill(store, runs=20, name="later")
    seen = Seen()

    await asyncio.wait_for(member(store, "m", seen).run_to_end(), timeout=20)

    assert len(seen.places) == 100
    assert server.admin.hget(keys.lease(3, "g"), "epoch") == b"8"


# Fencing


async def test_who_lost_a_lease_can_change_nothing(store: EventStore, server: AnyServer) -> None:
    # given two who were given the same partition one after the other
    await store.append("run", notes(3))
    await ConsumerGroup(store, "g", Seen(), create=True, types="none").run_to_end()
    await store.append("run", notes(2))
    keys = store.operations.keys
    partition = keys.partition_of("run")
    first = await _grant(store, "first", partition, lease_ms=100)
    await soon(lambda: _is_over(server, keys.lease(partition, "g")))
    second = await _grant(store, "second", partition, lease_ms=60_000)
    assert second.epoch == first.epoch + 1
    server.admin.xreadgroup("g", "first", {first.log: ">"})
    before = (server.admin.hgetall(first.lease), pending(store, server.admin, "g"))
    event = (await store.load("run"))[-1]
    # when the first wakes up
    refused = [
        await store.perform(single(leases.acknowledge(first, [event.position], event.position))),
        await store.perform(single(leases.renew(first, 60_000))),
        await store.perform(single(leases.release(first))),
        await store.perform(single(leases.deliver(first, event.position, 1))),
        await store.perform(single(leases.go_live(first, event.position))),
        await store.perform(single(leases.look_ahead(first, event.position))),
    ]
    # then
    assert refused == [False, False, False, 0, leases.GONE, None]
    assert (server.admin.hgetall(first.lease), pending(store, server.admin, "g")) == before


async def _grant(store: EventStore, name: str, partition: int, lease_ms: int) -> Hold:
    who = Membership(store.operations.keys, "g", name)
    grant = await store.perform(single(leases.acquire(who, partition, lease_ms)))
    assert isinstance(grant, leases.Grant)
    return grant.hold


def _is_over(server: AnyServer, lease: str) -> bool:
    seconds, microseconds = server.admin.time()
    return int(server.admin.hget(lease, "until")) < seconds * 1000 + microseconds // 1000


async def test_events_that_a_zombie_took_are_found_by_its_successor(
    store: EventStore, server: AnyServer
) -> None:
    # given a member that holds everything
    seen = Seen()
    log = store.operations.keys.log(store.operations.keys.partition_of("run"))
    async with serving(member(store, "m", seen)) as task:
        await store.append("run", notes(2))
        await until(partial(seen.reached, 2), task)
        # when somebody else reads, with events before and behind
        for _ in range(20):
            await store.append("run", notes(1))
            server.admin.xreadgroup("g", "zombie", {log: ">"})
            await store.append("run", notes(1))
        await until(partial(seen.reached, 42), task)
        # and when it takes the newest, with nothing behind
        await store.append("run", notes(1))
        server.admin.xreadgroup("g", "zombie", {log: ">"})
        await until(partial(seen.reached, 43), task)
    assert seen.places == [("run", version) for version in range(1, 44)]
    assert pending(store, server.admin, "g") == 0


async def test_the_handler_is_told_the_epoch_and_the_attempt(store: EventStore) -> None:
    told: list[Delivery] = []

    async def handle(event: RecordedEvent, delivery: Delivery) -> None:
        told.append(delivery)
        if len(told) == 1:
            raise RuntimeError("once")

    await store.append("run", notes(2))
    await member(store, "m", handle).run_to_end()

    partition = store.operations.keys.partition_of("run")
    epoch = told[0].epoch
    assert told == [Delivery("g", "m", partition, epoch, attempt) for attempt in (1, 2, 1)]


# Failing


async def test_a_run_that_keeps_failing_is_parked_and_its_later_events_wait_in_order(
    store: EventStore, server: AnyServer
) -> None:
    # given a run that fails from its second event on
    broken, seen, tries = True, Seen(), 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        if broken and event.run_id == "run-3" and event.version == 2:
            tries += 1
            raise ValueError("no such account")
        await seen(event)

    expected = await fill(store, runs=20)
    group = member(store, "m", handle, max_deliveries=3)
    async with serving(group) as task:
        await until(lambda: len(seen.events) == 96 and group.counts.held_back == 3, task)
        await store.append("run-3", notes(2))
        await until(lambda: group.counts.held_back == 5, task)
        await until(lambda: pending(store, server.admin, "g") == 0, task)
        # then it is set aside, whole and in order
        (parked,) = await group.parked()
        assert (parked.run_id, parked.first_version, parked.last_version) == ("run-3", 2, 7)
        assert (parked.failure.kind, parked.failure.message) == ("ValueError", "no such account")
        assert (parked.failure.deliveries, tries) == (3, 3)
        # when it is handled after all
        broken = False
        assert await group.redrive("run-3")
        await store.append("run-3", notes(1))
        await until(partial(seen.reached, 103), task)
        await until(lambda: not _parked(server, store), task)
        await store.append("run-3", notes(1))
        await until(partial(seen.reached, 104), task)

    assert seen.by_run() == expected | {"run-3": list(range(1, 10))}
    assert len(set(seen.places)) == len(seen.places)


def _parked(server: AnyServer, store: EventStore) -> int:
    keys = store.operations.keys
    return sum(server.admin.hlen(keys.parked(p, "g")) for p in range(keys.partitions))


async def test_a_redriven_run_that_fails_again_is_parked_again(store: EventStore) -> None:
    async def handle(_: RecordedEvent) -> None:
        raise ValueError("still no such account")

    await store.append("run", notes(3))
    group = member(store, "m", handle, max_deliveries=2)
    await group.run_to_end()
    assert await group.redrive("run")
    await group.run_to_end()

    (parked,) = await group.parked()
    assert (parked.first_version, parked.last_version, parked.state) == (1, 3, "parked")
    assert parked.failure.deliveries == 4


async def test_a_discarded_run_goes_on_with_what_comes(store: EventStore) -> None:
    seen, broken = Seen(), True

    async def handle(event: RecordedEvent) -> None:
        if broken:
            raise ValueError("no")
        await seen(event)

    await store.append("run", notes(3))
    group = member(store, "m", handle, max_deliveries=1)
    await group.run_to_end()
    broken = False
    assert await group.discard("run")
    await store.append("run", notes(2))
    await group.run_to_end()

    assert seen.places == [("run", 4), ("run", 5)]
    assert await group.parked() == []


async def test_a_handler_decides_by_what_it_raises(store: EventStore, server: AnyServer) -> None:
    seen, tries = Seen(), 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal tries
        if event.run_id == "skips" and event.version == 2:
            raise Skip("not for us")
        if event.run_id == "parks" and event.version == 2:
            raise Park("look at this")
        if event.run_id == "again" and event.version == 2 and not tries:
            tries += 1
            raise Retry(after=0.01)
        await seen(event)

    for run_id in ("skips", "parks", "again"):
        await store.append(run_id, notes(3))
    group = member(store, "m", handle, backoff=Backoff(first_ms=60_000))
    await asyncio.wait_for(group.run_to_end(), timeout=20)

    assert seen.by_run() == {"skips": [1, 3], "parks": [1], "again": [1, 2, 3]}
    (parked,) = await group.parked()
    assert (parked.run_id, parked.failure.kind, parked.failure.deliveries) == ("parks", "Park", 1)
    assert pending(store, server.admin, "g") == 0


async def test_a_long_run_that_waits_takes_little_memory_and_comes_in_order(
    store: EventStore,
) -> None:
    healed, seen = asyncio.Event(), Seen()

    async def handle(event: RecordedEvent) -> None:
        if event.run_id == "long" and not healed.is_set():
            raise RuntimeError("not yet")
        await seen(event)

    await store.append("long", notes(500))
    expected = await fill(store, runs=20)
    group = member(
        store, "m", handle, max_lane_events=10, max_in_hand_events=50, max_deliveries=1_000_000
    )
    async with serving(group) as task:
        await until(lambda: len(seen.events) == 100, task)
        healed.set()
        await store.append("long", noted())
        await until(partial(seen.reached, 601), task)

    assert seen.by_run() == expected | {"long": list(range(1, 502))}
    assert len(set(seen.places)) == 601
