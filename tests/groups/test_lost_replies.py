"""Replies that are lost: no event is, and no order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import proxy as proxies
import pytest
from faults import soon
from group_samples import SOON_MS, Seen, fill, pending, serving, until
from proxy import Fault, Proxy
from samples import notes
from servers import AnyServer

from eventstore import EventStore, StoreUnavailable
from eventstore.groups import ConsumerGroup, leases
from eventstore.groups.hold import Membership
from eventstore.plan import single
from eventstore.transport.lines import _sha
from groups.ground import IMPATIENT, ONE_IS_ENOUGH, idle_ms, leave_pending, server_ms


class GroupProxy(Proxy):
    """A proxy that does to reads of a group what it is told; see ``Proxy``."""

    calls = (b"\r\nXREADGROUP\r\n",)


class _GroupExchange(proxies._Exchange):
    def _carry_call(self) -> bool:
        call = self._client.recv(proxies.CHUNK_BYTES)
        if any(word in call for word in GroupProxy.calls):
            self._fault = self._proxy.judge()
        if not call or self._fault is Fault.LOSE_CALL:
            return False
        self._upstream.sendall(call)
        return True


@pytest.fixture
def proxy(server: AnyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupProxy]:
    monkeypatch.setattr(proxies, "_Exchange", _GroupExchange)
    with GroupProxy(server.url) as between:
        yield between


@pytest.mark.parametrize("fault", [Fault.LOSE_CALL, Fault.LOSE_REPLY, Fault.TEAR_REPLY])
@pytest.mark.parametrize("each", [2, 3])
async def test_a_lost_reply_loses_no_event_and_no_order(
    proxy: GroupProxy, namespace: str, fault: Fault, each: int
) -> None:
    async with EventStore.open(proxy.url, namespace=namespace) as store:
        expected = await fill(store, runs=30, each=10)
        # The server has all scripts: were they loaded on the way, each exchange would read twice,
        # and lose its second read every time.
        await ConsumerGroup(store, "before", Seen(), create=True).run_to_end()
        before = proxy.appends
        proxy.on_append = lambda number: fault if (number - before) % each == 1 else Fault.NONE
        seen = Seen()

        await ConsumerGroup(store, "g", seen, create=True, batch_events=48).run_to_end()

    assert proxy.faults > 3
    assert seen.by_run() == expected
    assert len(seen.places) == 300


@ONE_IS_ENOUGH
async def test_several_replies_lost_in_a_row_lose_no_event_and_no_order(
    proxy: GroupProxy, namespace: str
) -> None:
    async with EventStore.open(proxy.url, namespace=namespace) as store:
        expected = await fill(store, runs=30, each=10)
        proxy.lose(Fault.LOSE_REPLY, [2, 3, 4, 5, 7, 8])
        seen = Seen()

        await ConsumerGroup(store, "g", seen, create=True, batch_events=48).run_to_end()

    assert proxy.faults == 6
    assert seen.by_run() == expected
    assert len(seen.places) == 300


@ONE_IS_ENOUGH
async def test_a_reply_lost_for_good_is_found_by_the_next_call(
    proxy: GroupProxy, namespace: str
) -> None:
    async with EventStore.open(proxy.url, namespace=namespace, settings=IMPATIENT) as store:
        await store.append("run", notes(5))
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, create=True)
        assert await group.run_once() == 5
        await store.append("run", notes(5))
        proxy.on_append = lambda _: Fault.SILENCE

        with pytest.raises(StoreUnavailable):
            await group.run_once()
        proxy.on_append = lambda _: Fault.NONE

        assert await group.run_once() == 5
        await group.stop()
    assert seen.by_run() == {"run": list(range(1, 11))}


@ONE_IS_ENOUGH
async def test_events_taken_over_in_a_lost_reply_are_handled_all_the_same(
    proxy: GroupProxy, server: AnyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given events of a member that is no more, and later ones
    async with EventStore.open(proxy.url, namespace=namespace) as store:
        await leave_pending(store, server, "run", "gone")
        await store.append("run", notes(5))
        # when the reply to taking them over is lost
        monkeypatch.setattr(GroupProxy, "calls", (_claim_sha(),))
        proxy.lose(Fault.LOSE_REPLY, [1])
        seen = Seen()
        async with serving(ConsumerGroup(store, "g", seen, lease_ms=SOON_MS)) as task:
            # then
            await until(partial(seen.reached, 10), task)
    assert proxy.faults == 1
    assert seen.by_run() == {"run": list(range(1, 11))}
    assert len(seen.events) == 10


async def test_events_taken_over_are_handled_once(store: EventStore, server: AnyServer) -> None:
    log = await leave_pending(store, server, "run", "gone")
    await soon(lambda: idle_ms(server, log) > 20)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, lease_ms=100).run_to_end()

    assert seen.places == [("run", version) for version in range(1, 6)]


async def test_a_member_takes_nothing_new_before_it_has_what_was_its_own(
    store: EventStore, server: AnyServer
) -> None:
    await leave_pending(store, server, "run", "m", count=50)
    await store.append("run", notes(50))
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, member="m", batch_events=160)

    assert await group.run_once() == 10
    before = pending(store, server.admin, "g")
    counts = [await group.run_once() for _ in range(4)]

    assert (before, counts) == (40, [10, 10, 10, 10])
    assert pending(store, server.admin, "g") == 0
    while await group.run_once():
        pass
    await group.stop()
    assert seen.places == [("run", version) for version in range(1, 101)]


async def test_others_get_time_to_report_after_the_server_was_away(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    # given members that could not report for long
    long_ago = server_ms(server) - 6_000
    server.admin.zadd(f"{namespace}:members:g", {"a": long_ago, "b": long_ago})
    # when one of them can again
    beat = leases.beat(Membership(store.operations.keys, "g", "a"), silent_ms=5_000)
    first = await store.perform(single(beat))
    second = await store.perform(single(beat))
    # then the others count as dead only once they had time to do the same
    assert first >= {"a", "b"}
    assert second == {"a"}


def _claim_sha() -> bytes:
    return _sha("claim").encode()
