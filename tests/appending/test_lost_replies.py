"""The line breaks in the middle of an append: before the server saw it, or after it did it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Opener
from consistency import assert_consistent
from proxy import CALL_FAULTS, REPLY_FAULTS, Fault, Proxy
from samples import ended, noted, notes
from servers import AnyServer

from eventstore import (
    ANY,
    NO_RUN,
    RUN_EXISTS,
    EventStore,
    OutcomeUnknown,
    Settings,
    StoreUnavailable,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.commands import script_text

QUICK = Settings(reply_timeout_ms=150, retry_pause_ms=5, retry_pause_max_ms=20)
HASTY = Settings(
    reply_timeout_ms=100, append_timeout_ms=200, retry_pause_ms=5, retry_pause_max_ms=20
)
EVERY_FAULT = [*REPLY_FAULTS, *CALL_FAULTS]


@pytest.fixture
def proxy(server: AnyServer) -> Iterator[Proxy]:
    """Give a proxy before the server."""
    parts = urlsplit(server.url)
    if parts.scheme not in ("unix", "redis") or "@" in parts.netloc:
        pytest.skip("the proxy speaks no TLS and knows no passwords")
    server.admin.script_load(script_text("append"))  # so that the first call is an append already
    with Proxy(server.url) as between:
        yield between


@pytest.fixture
async def proxied(open_any: Opener, proxy: Proxy, namespace: str) -> AsyncIterator[EventStore]:
    """Give a store that talks through the proxy."""
    async with open_any(proxy.url, namespace=namespace, settings=QUICK) as opened:
        yield opened


@pytest.fixture
def others(sync_store: SyncEventStore) -> Callable[[int], Callable[[], object]]:
    """Give what appends to the run from elsewhere, past the proxy."""
    return lambda count: lambda: sync_store.append("run", notes(count))


@pytest.mark.parametrize("fault", EVERY_FAULT)
@pytest.mark.parametrize("expected", [ANY, NO_RUN])
async def test_a_first_append_is_written_once(
    proxied: EventStore,
    proxy: Proxy,
    server: AnyServer,
    namespace: str,
    fault: Fault,
    expected: Any,
) -> None:
    proxy.lose(fault, [1])

    result = await proxied.append("run", notes(3), expected=expected)

    (entries,) = assert_consistent(server, namespace).values()
    assert proxy.faults == 1
    assert (result.first_version, result.last_version) == (1, 3)
    assert [position.entry_id for position in result.positions] == [entry.id for entry in entries]
    assert result.deduplicated is (fault in REPLY_FAULTS)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.SILENCE, Fault.LOSE_CALL])
@pytest.mark.parametrize("expected", [ANY, RUN_EXISTS])
async def test_others_may_append_in_between(
    proxied: EventStore,
    proxy: Proxy,
    others: Callable[[int], Callable[[], object]],
    server: AnyServer,
    namespace: str,
    fault: Fault,
    expected: Any,
) -> None:
    await proxied.append("run", noted("before"))
    proxy.in_between = others(150)
    proxy.lose(fault, [1])

    result = await proxied.append("run", [noted("mine"), noted("mine")], expected=expected)

    entries = assert_consistent(server, namespace)["run"]
    mine = [entry for entry in entries if entry.event["data"]["text"] == "mine"]
    assert len(entries) == 153
    assert [p.entry_id for p in result.positions] == [entry.id for entry in mine]
    assert (result.first_version, result.last_version) == (mine[0].version, mine[1].version)
    assert result.deduplicated is (fault in REPLY_FAULTS)
    assert mine[0].version == (2 if fault in REPLY_FAULTS else 152)


async def test_an_exact_version_is_recognised_though_others_went_on(
    proxied: EventStore,
    proxy: Proxy,
    others: Callable[[int], Callable[[], object]],
    server: AnyServer,
    namespace: str,
) -> None:
    await proxied.append("run", notes(4))
    proxy.in_between = others(3)
    proxy.lose(Fault.LOSE_REPLY, [1])

    result = await proxied.append("run", notes(2), expected=4)

    assert (result.first_version, result.last_version, result.deduplicated) == (5, 6, True)
    assert len(assert_consistent(server, namespace)["run"]) == 9


async def test_who_lost_the_call_and_then_the_race_learns_the_actual_version(
    proxied: EventStore,
    proxy: Proxy,
    others: Callable[[int], Callable[[], object]],
    server: AnyServer,
    namespace: str,
) -> None:
    await proxied.append("run", notes(4))
    proxy.in_between = others(3)
    proxy.lose(Fault.LOSE_CALL, [1])

    with pytest.raises(WrongExpectedVersion) as caught:
        await proxied.append("run", notes(2), expected=4)

    assert (caught.value.expected, caught.value.actual) == (4, 7)
    assert len(assert_consistent(server, namespace)["run"]) == 7


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.SILENCE, Fault.LOSE_CALL])
async def test_several_losses_in_a_row_write_once(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str, fault: Fault
) -> None:
    proxy.lose(fault, [1, 2, 3])

    result = await proxied.append("run", notes(2))

    assert proxy.faults == 3
    assert result.last_version == 2
    assert len(assert_consistent(server, namespace)["run"]) == 2


async def test_the_end_of_a_run_is_recognised_as_one_s_own(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str
) -> None:
    await proxied.append("run", noted())
    proxy.lose(Fault.LOSE_REPLY, [1])

    result = await proxied.append("run", ended())

    assert (result.last_version, result.deduplicated) == (2, True)
    assert len(assert_consistent(server, namespace)["run"]) == 2


async def test_an_append_with_a_key_is_recognised_by_it(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str
) -> None:
    proxy.lose(Fault.LOSE_REPLY, [1])

    result = await proxied.append("run", notes(2), idempotency_key="k")

    assert (result.last_version, result.deduplicated) == (2, True)
    assert len(assert_consistent(server, namespace)["run"]) == 2


async def test_a_script_that_has_to_be_loaded_survives_the_loss_of_any_reply(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str
) -> None:
    for lost in (1, 2):
        server.admin.script_flush()
        proxy.lose(Fault.LOSE_REPLY, [lost])
        assert (await proxied.append("run", noted())).last_version == lost

    assert len(assert_consistent(server, namespace)["run"]) == 2


async def test_reads_come_through_as_well(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str
) -> None:
    await proxied.append("run", notes(2))
    proxy.cut()

    assert len(await proxied.load("run")) == 2
    proxy.cut()
    assert (await proxied.head("run")).version == 2
    proxy.cut()
    assert len([event async for event in proxied.read_all()]) == 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_in_a_storm_of_faults_everything_is_written_once(
    proxied: EventStore, proxy: Proxy, server: AnyServer, namespace: str, seed: int
) -> None:
    dice = random.Random(seed)
    faults = [Fault.LOSE_REPLY, Fault.TEAR_REPLY, Fault.LOSE_CALL, Fault.TEAR_CALL]
    proxy.on_append = lambda _: dice.choice(faults) if dice.random() < 0.4 else Fault.NONE

    async def work(name: str) -> dict[str, str]:
        done: dict[str, str] = {}
        for number in range(15):
            expected = (ANY, number * 2)[number % 2]
            events = [noted(f"{name} {number}") for _ in range(2)]
            result = await proxied.append(name, events, expected=expected)
            assert (result.first_version, result.last_version) == (number * 2 + 1, number * 2 + 2)
            done |= {p.entry_id: f"{name} {number}" for p in result.positions}
        return done

    told = await asyncio.gather(*(work(f"run-{n}") for n in range(6)))

    histories = assert_consistent(server, namespace)
    for number, done in enumerate(told):
        entries = histories[f"run-{number}"]
        assert {entry.id: entry.event["data"]["text"] for entry in entries} == done
    assert proxy.faults > 5


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.SILENCE, Fault.LOSE_CALL])
@pytest.mark.parametrize("expected", [ANY, 1])
async def test_a_doubt_that_outlasts_the_deadline_is_told_and_can_be_settled(
    open_any: Opener,
    any_store: EventStore,
    proxy: Proxy,
    server: AnyServer,
    namespace: str,
    fault: Fault,
    expected: Any,
) -> None:
    await any_store.append("run", noted())
    async with open_any(proxy.url, namespace=namespace, settings=HASTY) as doubtful:
        proxy.on_append = lambda _: fault
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown) as caught:
            await doubtful.append("run", notes(2), expected=expected)
        took_s = time.monotonic() - began
    written = fault in REPLY_FAULTS
    assert len(assert_consistent(server, namespace)["run"]) == (3 if written else 1)
    assert caught.value.run_id == "run"
    assert took_s < 0.2 + 0.1 + 0.5

    settled = await any_store.append(
        "run", notes(2), expected=expected, append_id=caught.value.append_id
    )

    assert (settled.first_version, settled.last_version) == (2, 3)
    assert settled.deduplicated is written
    assert len(assert_consistent(server, namespace)["run"]) == 3


async def test_a_server_that_cannot_be_reached_leaves_no_doubt(
    open_any: Opener, proxy: Proxy, namespace: str, server: AnyServer
) -> None:
    async with open_any(proxy.url, namespace=namespace, settings=HASTY) as store:
        await store.append("run", noted())
        proxy.close()
        # The line was there and may have taken the call along; after that there is none.
        with pytest.raises((OutcomeUnknown, StoreUnavailable)):
            await store.append("run", noted())

        with pytest.raises(StoreUnavailable):
            await store.append("run", noted())

    assert len(assert_consistent(server, namespace)["run"]) == 1
