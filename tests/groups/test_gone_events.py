"""Events that are gone, or damaged, and consumers that somebody deleted."""

from __future__ import annotations

import pytest
from faults import soon
from group_samples import Seen, fill, pending
from samples import notes
from servers import AnyServer

from eventstore import CorruptEvent, EventStore, HistoryGap, Position, RecordedEvent
from eventstore.groups import ConsumerGroup, Park, leases
from eventstore.groups.hold import Hold, Membership
from eventstore.plan import single
from groups.ground import idle_ms, leave_pending, make_group


@pytest.mark.parametrize("whose", ["its own", "a dead member's"])
async def test_a_pending_event_that_was_trimmed_is_told_and_stays_pending(
    store: EventStore, server: AnyServer, whose: str
) -> None:
    # given an event that was delivered, then trimmed
    log = await leave_pending(store, server, "run", "m" if whose == "its own" else "gone")
    position = (await store.load("run"))[0].position
    server.admin.xdel(log, position.entry_id)
    await soon(lambda: idle_ms(server, log) > 20)
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
    await make_group(store)
    await store.append("run", notes(10))
    keys, partition = store.operations.keys, store.operations.keys.partition_of("run")
    hold = await _hold(store, partition)
    server.admin.xreadgroup("g", "gone", {hold.log: ">"})
    positions = [event.position for event in await store.load("run")]
    if acknowledged:
        through = positions[4 : 4 + acknowledged]
        await store.perform(single(leases.acknowledge(hold, through, Position(partition, 0, 0))))
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
    grant = await store.perform(single(leases.acquire(who, partition, 60_000)))
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
