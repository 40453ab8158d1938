"""Consumer groups when members die, replies get lost, and servers restart or forget."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import proxy as proxies
import pytest
from faults import Python, soon
from group_samples import (
    SOON_MS,
    Notebook,
    Seen,
    fill,
    first_handlings,
    pending,
    serving,
    until,
)
from proxy import Fault, Proxy
from samples import contents, go_back, noted, notes
from servers import AnyServer, Server

from eventstore import (
    CorruptEvent,
    EventStore,
    HistoryGap,
    LogRegressed,
    Position,
    RecordedEvent,
    Settings,
    StoreUnavailable,
    UnknownGroup,
)
from eventstore.commands import Command
from eventstore.groups import ConsumerGroup, Park, leases
from eventstore.groups.hold import Hold, Membership
from eventstore.plan import Plan
from eventstore.transport.lines import _sha

T = TypeVar("T")
IMPATIENT = Settings(append_timeout_ms=400, reply_timeout_ms=200, connect_timeout_ms=200)
ONE_IS_ENOUGH = pytest.mark.parametrize("server", ["valkey"], indirect=True)

MEMBER = """
import asyncio, os, sys
from eventstore import EventStore
from eventstore.groups import ConsumerGroup

url, namespace, member, path = sys.argv[1:]
handled = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def handle(event):
    os.write(handled, f"{event.run_id} {event.version}\\n".encode())
    await asyncio.sleep(0.001)

async def main():
    async with EventStore.open(url, namespace=namespace) as store:
        await ConsumerGroup(
            store, "g", handle, create=True, member=member, lease_ms=300, batch_events=64
        ).run()

asyncio.run(main())
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path / "handled")


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


# Members that die


async def test_what_a_killed_member_left_is_finished_by_another(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    # given a member that is killed in the middle
    expected = await fill(store, runs=50, each=10)
    with Python(MEMBER, server.url, namespace, "first", notebook.path) as first:
        await soon(partial(notebook.reached, 60))
        first.kill()
    assert pending(store, server.admin, "g") > 0
    # when another one serves
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, lease_ms=SOON_MS)
    async with serving(group) as task:
        await until(lambda: len({*notebook.places, *seen.places}) == 500, task)
        await until(lambda: pending(store, server.admin, "g") == 0, task)
    # then nothing is missing
    assert group.counts.recovered > 0
    handled = {*notebook.places, *seen.places}
    assert handled == {(run, v) for run in expected for v in expected[run]}


async def test_a_killed_member_that_comes_back_goes_on_in_order(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    expected = await fill(store, runs=50, each=20)
    for kill_at in (1, 50, 150, 300):
        with Python(MEMBER, server.url, namespace, "same", notebook.path) as member:
            await soon(partial(notebook.reached, kill_at))
            member.kill()
        assert pending(store, server.admin, "g") > 0
    with Python(MEMBER, server.url, namespace, "same", notebook.path):
        await soon(lambda: len(set(notebook.places)) == 1_000)
        await soon(lambda: pending(store, server.admin, "g") == 0)

    assert first_handlings(notebook.places) == expected


async def test_a_member_put_to_sleep_is_replaced_and_may_wake_up(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    # given a member that sleeps with events in hand
    expected = await fill(store, runs=50, each=10)
    with Python(MEMBER, server.url, namespace, "sleepy", notebook.path) as sleepy:
        await soon(partial(notebook.reached, 20))
        os.kill(sleepy._process.pid, signal.SIGSTOP)
        assert pending(store, server.admin, "g") > 0
        # when another one finishes everything, and then the first wakes
        seen = Seen()
        async with serving(ConsumerGroup(store, "g", seen, lease_ms=SOON_MS)) as task:
            await until(lambda: pending(store, server.admin, "g") == 0, task)
            os.kill(sleepy._process.pid, signal.SIGCONT)
            await store.append("last", notes(20))
            await until(lambda: len({*notebook.places, *seen.places}) == 520, task)
            await until(lambda: pending(store, server.admin, "g") == 0, task)
    # then nothing is missing
    handled = {*notebook.places, *seen.places}
    assert handled >= {(run, v) for run in expected for v in expected[run]}


async def test_what_a_living_member_works_on_is_not_taken_from_it(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(2))
    begun, go_on = asyncio.Event(), asyncio.Event()
    slow, other = Seen(), Seen()

    async def handle(event: RecordedEvent) -> None:
        begun.set()
        await go_on.wait()
        await slow(event)

    def member(handler: Callable[[RecordedEvent], object]) -> ConsumerGroup:
        return ConsumerGroup(store, "g", handler, create=True, lease_ms=SOON_MS)

    async with serving(member(handle)) as task:
        await begun.wait()
        async with serving(member(other)) as second:
            log = store.operations.keys.log(store.operations.keys.partition_of("run"))
            await until(lambda: _idle_ms(server, log) > 4 * SOON_MS, second)
            go_on.set()
            await until(lambda: len(slow.events) == 2, task)

    assert other.events == []


def _idle_ms(server: AnyServer, log: str) -> int:
    found = server.admin.xpending_range(log, "g", "-", "+", 1)
    return int(found[0]["time_since_delivered"]) if found else 0


# Replies that are lost


@pytest.mark.parametrize("fault", [Fault.LOSE_CALL, Fault.LOSE_REPLY, Fault.TEAR_REPLY])
@pytest.mark.parametrize("each", [2, 3])
async def test_a_lost_reply_loses_no_event_and_no_order(
    proxy: GroupProxy, namespace: str, fault: Fault, each: int
) -> None:
    async with EventStore.open(proxy.url, namespace=namespace) as store:
        expected = await fill(store, runs=30, each=10)
        proxy.on_append = lambda number: fault if number % each == 1 else Fault.NONE
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
        await _leave_pending(store, server, "run", "gone")
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
    log = await _leave_pending(store, server, "run", "gone")
    await soon(lambda: _idle_ms(server, log) > 20)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, lease_ms=100).run_to_end()

    assert seen.places == [("run", version) for version in range(1, 6)]


async def test_a_member_takes_nothing_new_before_it_has_what_was_its_own(
    store: EventStore, server: AnyServer
) -> None:
    await _leave_pending(store, server, "run", "m", count=50)
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


async def _leave_pending(
    store: EventStore, server: AnyServer, run_id: str, member: str, count: int = 5
) -> str:
    """Append events and have them delivered to a member; give the log they are in."""
    await store.append(run_id, notes(count))
    await _make_group(store)
    log = store.operations.keys.log(store.operations.keys.partition_of(run_id))
    server.admin.xreadgroup("g", member, {log: ">"})
    return log


async def test_others_get_time_to_report_after_the_server_was_away(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    # given members that could not report for long
    long_ago = _server_ms(server) - 6_000
    server.admin.zadd(f"{namespace}:members:g", {"a": long_ago, "b": long_ago})
    # when one of them can again
    beat = leases.beat(Membership(store.operations.keys, "g", "a"), silent_ms=5_000)
    first = await store.perform(_alone(beat))
    second = await store.perform(_alone(beat))
    # then the others count as dead only once they had time to do the same
    assert first >= {"a", "b"}
    assert second == {"a"}


def _alone(command: Command[T]) -> Plan[T]:
    (result,) = yield [command]
    return result  # type: ignore[no-any-return]


def _claim_sha() -> bytes:
    return _sha("claim").encode()


async def _make_group(store: EventStore) -> None:
    """Make a group without taking anything."""
    group = ConsumerGroup(store, "g", Seen(), create=True)
    await group._joined()
    await group.stop()


# Servers that restart, sleep and forget


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
            await _make_group(another)
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
    await soon(lambda: _server_ms(server) > second.ms + 2)
    third = (await store.append("run", notes(1))).positions[0]
    group = ConsumerGroup(store, "g", Seen(), create=True)
    assert await group.run_once() == 3
    # when another one took its place, of a time before it, and a fourth followed
    await soon(lambda: _server_ms(server) > third.ms)
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


def _server_ms(server: AnyServer) -> int:
    seconds, microseconds = server.admin.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


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


# Events that are gone


@pytest.mark.parametrize("whose", ["its own", "a dead member's"])
async def test_a_pending_event_that_was_trimmed_is_told_and_stays_pending(
    store: EventStore, server: AnyServer, whose: str
) -> None:
    # given an event that was delivered, then trimmed
    log = await _leave_pending(store, server, "run", "m" if whose == "its own" else "gone")
    position = (await store.load("run"))[0].position
    server.admin.xdel(log, position.entry_id)
    await soon(lambda: _idle_ms(server, log) > 20)
    # when
    group = ConsumerGroup(store, "g", Seen(), member="m", lease_ms=100)
    with pytest.raises(HistoryGap):
        await group.run_to_end()
    # then
    ids = [row["message_id"].decode() for row in server.admin.xpending_range(log, "g", "-", "+", 9)]
    assert position.entry_id in ids


@pytest.mark.parametrize("acknowledged", [0, 3])
async def test_a_consumer_that_somebody_deleted_loses_no_pending_event(
    store: EventStore, server: AnyServer, acknowledged: int
) -> None:
    """``XGROUP DELCONSUMER`` throws away what was pending."""
    # given events that were delivered, some behind others acknowledged, and a deleted consumer
    await _make_group(store)
    await store.append("run", notes(10))
    keys, partition = store.operations.keys, store.operations.keys.partition_of("run")
    hold = await _hold(store, partition)
    server.admin.xreadgroup("g", "gone", {hold.log: ">"})
    positions = [event.position for event in await store.load("run")]
    if acknowledged:
        through = positions[4 : 4 + acknowledged]
        await store.perform(_alone(leases.acknowledge(hold, through, Position(partition, 0, 0))))
    server.admin.xgroup_delconsumer(hold.log, "g", "gone")
    await store.append("run", notes(2))
    # when somebody serves
    seen = Seen()
    await ConsumerGroup(store, "g", seen, member="gone").run_to_end()
    # then
    assert seen.by_run() == {"run": list(range(1, 13))}
    assert pending(store, server.admin, "g") == 0
    assert server.admin.hget(keys.lease(partition, "g"), "above") in (None, b"0")


async def test_nothing_is_delivered_again_where_no_consumer_was_deleted(
    store: EventStore, server: AnyServer
) -> None:
    seen, first = Seen(), True

    async def handle(event: RecordedEvent) -> None:
        if first and event.version == 3:
            raise Park("for now")
        await seen(event)

    expected = await fill(store, runs=40, each=6)
    await ConsumerGroup(store, "g", handle, create=True, batch_events=64).run_to_end()
    first = False
    group = ConsumerGroup(store, "g", handle)
    for run_id in expected:
        await group.redrive(run_id)
    await group.run_to_end()
    await fill(store, runs=40, each=1)
    await ConsumerGroup(store, "g", handle).run_to_end()

    assert len(seen.places) == len(set(seen.places)) == 280


async def _hold(store: EventStore, partition: int) -> Hold:
    who = Membership(store.operations.keys, "g", "gone")
    grant = await store.perform(_alone(leases.acquire(who, partition, 60_000)))
    assert isinstance(grant, leases.Grant)
    return grant.hold


async def test_a_hole_in_the_log_is_told(store: EventStore, server: AnyServer) -> None:
    positions = (await store.append("run", notes(5))).positions
    server.admin.xdel(store.operations.keys.log(positions[0].partition), positions[2].entry_id)
    seen = Seen()

    with pytest.raises(HistoryGap):
        await ConsumerGroup(store, "g", seen, create=True).run_to_end()

    assert seen.events == []


async def test_a_damaged_event_stops_the_group_and_stays_pending(
    store: EventStore, server: AnyServer
) -> None:
    result = await store.append("run", notes(2))
    keys, position = store.operations.keys, result.positions[1]
    log = keys.log(position.partition)
    _, fields = server.admin.xrange(log, position.entry_id, position.entry_id)[0]
    server.admin.xdel(log, position.entry_id)
    fields[b"e"] = fields[b"e"].replace(b"note", b"nope")
    server.admin.delete(keys.tail(position.partition))
    entries = server.admin.xrange(log)
    server.admin.delete(log)
    for entry_id, entry in [*entries, (position.entry_id, fields)]:
        server.admin.xadd(log, entry, id=entry_id)
    server.admin.set(keys.tail(position.partition), position.entry_id)

    for _ in range(2):
        with pytest.raises(CorruptEvent):
            await ConsumerGroup(store, "g", Seen(), create=True, member="m").run_to_end()

    assert pending(store, server.admin, "g") == 2
