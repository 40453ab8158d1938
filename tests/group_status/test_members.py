"""Groups seen and steered while real members serve them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from faults import soon
from group_samples import Seen, serving, until
from samples import notes

from eventstore import ConsumerGroup, EventStore, InvalidArgument, RecordedEvent, UnknownGroup
from eventstore.groups.status import Groups, GroupStatus
from group_status.bench import RUNS, Bench

pytestmark = pytest.mark.parametrize("open_any", ["asyncio"], indirect=True)
LEASE_MS = 500


async def looked(groups: Groups, condition: Callable[[GroupStatus], object]) -> GroupStatus:
    """Look until the condition holds."""
    async with asyncio.timeout(20):
        while not condition(status := await groups.show("mail")):
            pass
    return status


class Gate:
    """A handler that waits at one event until it is let through."""

    def __init__(self, version: int, seen: Callable[[RecordedEvent], Awaitable[None]]) -> None:
        self.version, self.seen = version, seen
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self, event: RecordedEvent) -> None:
        if event.version == self.version:
            self.reached.set()
            await self.opened.wait()
        await self.seen(event)


async def test_a_serving_member_is_seen_and_a_stopped_one_is_gone(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given a member that serves
    await bench.append(3, 2)
    await groups.create("mail")
    group = ConsumerGroup(store, "mail", Seen(), member="w1", lease_ms=LEASE_MS)
    async with serving(group):
        # then it is seen to hold both partitions, and to get on
        status = await looked(groups, lambda found: found.lag_events == 0)
        assert [(one.name, one.live, one.partitions) for one in status.members] == [
            ("w1", True, (0, 1))
        ]
        assert [one.owner for one in status.partitions] == ["w1", "w1"]
        assert all(0 < one.leased_for_ms <= LEASE_MS for one in status.partitions)
        assert all(one.epoch >= 1 for one in status.partitions)
    # when it has stopped, then it is gone, and what came since waits
    await bench.append(1, 0)
    status = await groups.show("mail")
    assert (status.members, status.lag_events, status.pending) == ((), 1, 0)
    assert [one.owner for one in status.partitions] == [None, None]


async def test_a_handler_that_hangs_is_seen_as_stalled(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given a member whose handler hangs at the second event
    settings = store.operations.settings
    object.__setattr__(settings, "stall_after_ms", 30)
    gate = Gate(2, Seen())
    await bench.append(3, 0)
    group = ConsumerGroup(store, "mail", gate, create=True, member="w1", lease_ms=LEASE_MS)
    async with serving(group):
        await gate.reached.wait()
        # then it is seen: who, where, and what it has in hand
        status = await looked(groups, lambda found: found.stalled)
        assert status.stalled == (0,)
        assert status.partitions[0].owner == "w1"
        assert status.partitions[0].pending >= 2
        # and no longer once it goes on
        gate.opened.set()
        await looked(groups, lambda found: not found.stalled and not found.lag_events)


async def test_after_a_reset_everything_is_handled_again_in_order(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given a group that has handled everything
    await bench.append(30, 20)
    first, again = Seen(), Seen()
    await ConsumerGroup(store, "mail", first, create=True).run_to_end()
    # when it is reset to the beginning, and served again
    await groups.reset("mail", "beginning", by="ann")
    await ConsumerGroup(store, "mail", again).run_to_end()
    # then each event came once more, each run in order
    assert again.by_run() == first.by_run()
    assert len(again.events) == 50
    assert (await groups.show("mail")).lag_events == 0


async def test_a_forced_reset_under_a_serving_member_is_not_undone_by_it(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given a member in the middle of its second event
    await bench.append(4, 0)
    seen = Seen()
    gate = Gate(2, seen)
    group = ConsumerGroup(store, "mail", gate, create=True, member="w1", lease_ms=LEASE_MS)
    async with serving(group) as task:
        await gate.reached.wait()
        with pytest.raises(InvalidArgument, match="w1"):
            await groups.reset("mail", "beginning", by="ann")
        # when the group is reset all the same, and the handler goes on
        await groups.reset("mail", "beginning", by="ann", force=True)
        gate.opened.set()
        # then all events come again, to a new owner of the partition
        await until(lambda: [v for _, v in seen.places].count(1) == 2, task)
        status = await looked(groups, lambda found: not found.lag_events)
        assert status.problems == {}
    versions = [version for _, version in seen.places]
    assert versions[-4:] == [1, 2, 3, 4]


async def test_members_of_a_group_that_is_deleted_by_force_end_with_an_error(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given a member that serves
    seen = Seen()
    group = ConsumerGroup(store, "mail", seen, create=True, member="w1", lease_ms=LEASE_MS)
    task = asyncio.create_task(group.run())
    await bench.append(1, 1)
    await soon(lambda: seen.reached(2) or task.done())
    # when its group is deleted
    await groups.delete("mail", force=True)
    await store.append(RUNS[0], notes(1))
    # then it says so, and does not make the group again
    with pytest.raises(UnknownGroup, match="mail"):
        await asyncio.wait_for(task, 20)
    assert await groups.list() == ()
    assert [bench.group_info(partition) for partition in (0, 1)] == [None, None]
    assert bench.own_keys() <= {bench.keys.members("mail")}
