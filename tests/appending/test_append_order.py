"""Appends that one program asks for one after another are recorded in that order, at any speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from consistency import assert_consistent
from samples import noted
from servers import AnyServer, Server

from eventstore import Append, AppendResult, EventStore, Settings
from eventstore.commands import script_text

RUNS = 3
APPENDS = 3_000


@pytest.fixture
async def store(server: AnyServer, namespace: str) -> AsyncIterator[EventStore]:
    """Give a store that is quick to try again."""
    settings = Settings(retry_pause_ms=1, retry_pause_max_ms=5)
    async with EventStore.open(server.url, namespace=namespace, settings=settings) as opened:
        yield opened


def asked_for(store: EventStore) -> list[asyncio.Task[AppendResult]]:
    """Ask for many appends to few runs without waiting for any of them."""
    return [
        asyncio.create_task(store.append(f"run-{n % RUNS}", noted(str(n // RUNS))))
        for n in range(APPENDS)
    ]


def assert_in_order(server: AnyServer, namespace: str) -> None:
    histories = assert_consistent(server, namespace)
    told = {run: [e.event["data"]["text"] for e in entries] for run, entries in histories.items()}
    asked = [str(number) for number in range(APPENDS // RUNS)]
    assert told == {f"run-{number}": asked for number in range(RUNS)}


async def test_appends_keep_their_order(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await asyncio.gather(*asked_for(store))

    assert_in_order(server, namespace)


async def test_appends_keep_their_order_when_the_server_forgets_the_script_now_and_then(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    def forget_and_learn() -> None:
        server.admin.script_flush()
        server.admin.script_load(script_text("append"))

    appends = asyncio.gather(*asked_for(store))
    while not appends.done():
        await asyncio.to_thread(forget_and_learn)
    await appends

    assert_in_order(server, namespace)


async def test_appends_keep_their_order_when_connections_break(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    appends = asked_for(store)
    for each in appends[100 :: APPENDS // 5]:
        await each
        server.admin.client_kill_filter(_type="normal", skipme=True)
    await asyncio.gather(*appends)

    assert_in_order(server, namespace)


def reads(server: AnyServer) -> int:
    """Count how often pages of streams were read backwards so far."""
    stats = server.admin.info("commandstats").get("cmdstat_xrevrange", {"calls": 0})
    return int(stats["calls"])


async def test_many_doubtful_appends_of_a_long_run_search_it_once(
    store: EventStore, server: AnyServer
) -> None:
    await store.append_many([Append("run", [noted()] * 500) for _ in range(4)])
    doubtful = [Append("run", noted(), append_id=f"doubtful-{n}") for n in range(100)]
    before = reads(server)

    results = await store.append_many(doubtful)

    pages = 2_000 // 128 + 1
    assert reads(server) - before < 3 * pages
    assert [r.first_version for r in results if isinstance(r, AppendResult)] == [
        *range(2_001, 2_101)
    ]


async def test_one_doubtful_append_that_is_asked_for_twice_at_once_is_written_once(
    store: EventStore,
) -> None:
    await store.append("run", noted())
    doubtful = Append("run", [noted("a"), noted("b")], append_id="doubtful")

    first, second = await store.append_many([doubtful, doubtful])

    assert isinstance(first, AppendResult)
    assert isinstance(second, AppendResult)
    assert second == replace(first, deduplicated=True)
    assert (await store.head("run")).version == 3


@pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
async def test_what_was_cancelled_before_it_was_sent_takes_no_room_and_is_not_written(
    own_server: Server, namespace: str
) -> None:
    # given a server that sleeps while it has one append, and little room
    settings = Settings(max_waiting_appends=2, reply_timeout_ms=30_000, append_timeout_ms=30_000)
    async with EventStore.open(own_server.url, namespace=namespace, settings=settings) as store:
        await store.append("run", noted("created"))
        own_server.pause()
        first = asyncio.create_task(store.append("run", noted("first")))
        await asyncio.sleep(0)
        # when others behind it are cancelled, one after another
        for _ in range(20):
            task = asyncio.create_task(store.append("run", noted("cancelled")))
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        last = asyncio.create_task(store.append("run", noted("last")))
        own_server.resume()
        await asyncio.wait_for(asyncio.gather(first, last), timeout=30)
        # then there is room at once for what comes, and nothing of them is there
        texts = [event.data["text"] for event in await store.load("run")]
    assert texts == ["created", "first", "last"]
