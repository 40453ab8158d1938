"""Servers that restart, are away for long, or forget scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from faults import soon
from group_samples import SOON_MS, Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer, Server

from eventstore import EventStore, RecordedEvent, StoreUnavailable
from eventstore.groups import ConsumerGroup
from groups.ground import IMPATIENT, ONE_IS_ENOUGH


async def test_a_restarted_server_loses_no_event_and_no_order(
    own_server: Server, namespace: str
) -> None:
    async with EventStore.open(own_server.url, namespace=namespace) as store:
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, create=True, batch_events=32)
        async with serving(group) as task:
            for round_number in range(1, 4):
                expected = await fill(store, runs=40, each=3)
                await until(partial(seen.reached, 120 * round_number - 60), task)
                await asyncio.to_thread(own_server.restart)
            await until(lambda: len(set(seen.places)) == 360, task)
            await soon(lambda: pending(store, own_server.admin, "g") == 0)

    assert seen.by_run() == {run: list(range(1, 10)) for run in expected}


@ONE_IS_ENOUGH
async def test_forgotten_scripts_are_sent_again(store: EventStore, server: AnyServer) -> None:
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, create=True, lease_ms=SOON_MS)
    async with serving(group) as task:
        for count in range(1, 4):
            server.admin.script_flush()
            await store.append("run", noted())
            await until(partial(seen.reached, count), task)


async def test_what_is_read_beside_a_forgotten_script_is_not_read_again(
    store: EventStore, server: AnyServer
) -> None:
    # given a member with something to acknowledge, and a server that forgot the script for it
    group = ConsumerGroup(store, "g", Seen(), create=True, batch_events=16)
    await store.append("run", notes(20))
    await store.append("other", notes(20))
    server.admin.script_flush()
    # when
    assert await group.run_to_end() == 40
    # then what came with the acknowledgement was not left pending, to be claimed
    assert group.counts.recovered == 0


async def test_a_group_outlasts_a_server_that_is_away_for_long(
    launch: Callable[..., Server], namespace: str
) -> None:
    server = launch("redis7")
    async with EventStore.open(server.url, namespace=namespace, settings=IMPATIENT) as store:
        await store.append("run", notes(3))
        seen, begun, go_on = Seen(), asyncio.Event(), asyncio.Event()

        async def handle(event: RecordedEvent) -> None:
            begun.set()
            await go_on.wait()
            await seen(event)

        async with serving(ConsumerGroup(store, "g", handle, create=True)) as task:
            await begun.wait()
            server.pause()
            go_on.set()
            with pytest.raises(StoreUnavailable):
                await store.tails()
            with pytest.raises(StoreUnavailable):
                await ConsumerGroup(store, "g", seen).run_to_end()
            server.resume()
            await store.append("run", notes(3))
            await until(lambda: len(seen.events) == 6, task)
            await until(lambda: pending(store, server.admin, "g") == 0, task)

    assert seen.by_run() == {"run": [1, 2, 3, 4, 5, 6]}


async def test_stopping_is_bounded_also_while_the_server_is_away(
    launch: Callable[..., Server], namespace: str
) -> None:
    server = launch("redis7")
    async with EventStore.open(server.url, namespace=namespace) as store:
        group = ConsumerGroup(store, "g", Seen(), create=True, drain_ms=100)
        task = asyncio.create_task(group.run())
        await soon(lambda: server.admin.zcard(f"{namespace}:members:g"))
        server.pause()
        await asyncio.wait_for(group.stop(), timeout=10)
        await task
        server.resume()
