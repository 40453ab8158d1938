"""Appends that one program asks for one after another are recorded in that order, at any speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from consistency import assert_consistent
from samples import noted
from servers import AnyServer

from eventstore import AppendResult, EventStore, Settings
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
