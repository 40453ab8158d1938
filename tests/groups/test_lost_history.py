"""Servers that lost events, or the group itself: told, never begun anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from faults import soon
from group_samples import Seen, fill, pending, until
from samples import contents, go_back, notes
from servers import AnyServer, Server

from eventstore import EventStore, LogRegressed, UnknownGroup
from eventstore.groups import ConsumerGroup
from groups.ground import make_group, server_ms


async def test_an_emptied_server_is_told_and_never_begun_anew(
    launch: Callable[..., Server], namespace: str
) -> None:
    server = launch("redis7")
    async with EventStore.open(server.url, namespace=namespace) as store:
        await fill(store, runs=20)
        seen = Seen()
        task = asyncio.create_task(ConsumerGroup(store, "g", seen, create=True).run())
        await until(lambda: len(seen.events) == 100, task)
        server.admin.flushall()
        with pytest.raises(LogRegressed):
            await asyncio.wait_for(task, timeout=20)
        for create in (False, True):
            with pytest.raises(LogRegressed):
                await ConsumerGroup(store, "g", seen, create=create).run()
    assert len(seen.events) == 100


async def test_a_log_made_anew_under_a_running_group_is_told(
    launch: Callable[..., Server], namespace: str
) -> None:
    # given a group that has handled something
    server = launch("valkey")
    async with EventStore.open(server.url, namespace=namespace) as store:
        await fill(store, runs=20)
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, create=True)
        assert await group.run_once() == 100
        # when everything is made anew behind its back
        server.admin.flushall()
        async with EventStore.open(server.url, namespace=namespace) as another:
            await make_group(another)
            await fill(another, runs=20, each=1)
        # then
        with pytest.raises(LogRegressed):
            await group.run_once()
        await group.stop()
    assert len(seen.events) == 100


async def test_a_destroyed_group_is_unknown(store: EventStore, server: AnyServer) -> None:
    await store.append("run", notes(3))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    assert await group.run_once() == 3
    server.admin.xgroup_destroy(store.operations.keys.log(5), "g")

    with pytest.raises(UnknownGroup):
        await group.run_once()
    await group.stop()
    with pytest.raises(UnknownGroup):
        await ConsumerGroup(store, "g", seen, create=True).run()


async def test_a_log_older_than_the_groups_progress_is_told_at_the_start(
    store: EventStore, server: AnyServer
) -> None:
    position = (await store.append("run", notes(3))).positions[-1]
    await ConsumerGroup(store, "g", Seen(), create=True).run_to_end()
    server.admin.set(store.operations.keys.tail(position.partition), f"{position.ms}-1")

    with pytest.raises(LogRegressed):
        await ConsumerGroup(store, "g", Seen()).run_to_end()


async def test_an_older_copy_that_others_went_on_with_is_told(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    # given a group that is past what an older copy holds
    await store.append("run", notes(2))
    group = ConsumerGroup(store, "g", Seen(), create=True)
    assert await group.run_once() == 2
    copy = contents(server, namespace)
    await store.append("run", notes(2))
    assert await group.run_once() == 2
    # when that copy is put back, and more is appended to it
    go_back(server, namespace, copy)
    await store.append("run", notes(2))
    # then
    with pytest.raises(LogRegressed):
        await group.run_once()
    await group.stop()


async def test_events_put_in_place_of_lost_ones_are_told(
    store: EventStore, server: AnyServer
) -> None:
    # given a group that is past the third entry, recorded later than the others
    first, second = (await store.append("run", notes(2))).positions
    await soon(lambda: server_ms(server) > second.ms + 2)
    third = (await store.append("run", notes(1))).positions[0]
    group = ConsumerGroup(store, "g", Seen(), create=True)
    assert await group.run_once() == 3
    # when another one took its place, of a time before it, and a fourth followed
    await soon(lambda: server_ms(server) > third.ms)
    await store.append("run", notes(1))
    log = store.operations.keys.log(first.partition)
    entries = server.admin.xrange(log)
    server.admin.delete(log)
    for entry_id, fields in entries:
        new_id = entry_id
        if entry_id.decode() == third.entry_id:
            new_id = f"{second.ms + 1}-3"
            moved = int(fields[b"c"], 16) - third.ms + second.ms + 1
            fields[b"c"] = b"%08x" % (moved % 2**32)
        server.admin.xadd(log, fields, id=new_id)
    server.admin.xgroup_create(log, "g", id=second.entry_id)
    # then
    with pytest.raises(LogRegressed):
        await group.run_once()
    await group.stop()


async def test_progress_that_the_server_lost_is_told_it_again(
    store: EventStore, server: AnyServer
) -> None:
    positions = (await store.append("run", notes(5))).positions
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True)
    assert await group.run_once() == 5
    log = store.operations.keys.log(positions[0].partition)
    server.admin.xgroup_setid(log, "g", positions[2].entry_id)

    assert await group.run_once() == 0
    await group.stop()

    # what this member handled is acknowledged once more, not handled once more
    assert [version for _, version in seen.places] == [1, 2, 3, 4, 5]
    assert pending(store, server.admin, "g") == 0
