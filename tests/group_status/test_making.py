"""A group is made and deleted from outside, while its services are stopped."""

from __future__ import annotations

from typing import Any

import pytest
from samples import contents
from servers import AnyServer

from eventstore import EventStore, InvalidArgument, Position, UnknownGroup
from eventstore.groups.status import Groups
from group_status.bench import HOUR_MS, RUNS, Bench, without_logs

# Making


async def test_a_group_is_made_where_it_is_to_begin(groups: Groups, bench: Bench) -> None:
    (positions, _) = await bench.append(3, 2)

    await groups.create("first")
    await groups.create("last", "end")
    await groups.create("middle", {0: positions[1]})

    found = {one.name: one for one in await groups.list()}
    assert {name: one.lag_events for name, one in found.items()} == {
        "first": 5,
        "last": 0,
        "middle": 3,
    }
    assert {name: one.start for name, one in found.items()} == {
        "first": "beginning",
        "last": "end",
        "middle": "position",
    }


async def test_a_group_that_is_there_is_not_made_again(groups: Groups) -> None:
    await groups.create("mail")

    with pytest.raises(InvalidArgument, match="there already"):
        await groups.create("mail", "end")


@pytest.mark.parametrize("start", ["middle", 7, None, Position(0, 5, 5), Position(9, 0, 0)])
async def test_a_start_that_the_log_lacks_makes_nothing(
    groups: Groups, server: AnyServer, namespace: str, start: Any
) -> None:
    before = contents(server, namespace)

    with pytest.raises(InvalidArgument):
        await groups.create("mail", start)

    assert contents(server, namespace) == before


# Deleting


async def test_a_deleted_group_leaves_nothing_but_the_events(
    store: EventStore, groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    # given what there was before a group, its leases, members and runs set aside
    await bench.append(3, 2)
    before = {
        key: value for key, value in contents(server, namespace).items() if b":log" not in key
    }
    await groups.create("mail")
    bench.take(0, 2)
    bench.beats("gone", ago_ms=HOUR_MS)
    for partition in (0, 1):
        bench.park(partition, "a", "b")
        bench.admin.rpush(bench.keys.redrive(partition, "mail"), "a")
    assert len(bench.own_keys()) == 9
    # when it is deleted
    await groups.delete("mail")
    # then all of it is gone, and the events are not
    assert bench.own_keys() == set()
    assert [bench.group_info(partition) for partition in (0, 1)] == [None, None]
    after = without_logs(contents(server, namespace))
    assert after == before
    assert len(await store.load(RUNS[0])) == 3
    with pytest.raises(UnknownGroup):
        await groups.show("mail")


async def test_another_group_is_not_touched_by_a_deletion(groups: Groups, bench: Bench) -> None:
    await bench.append(2, 1)
    await groups.create("mail")
    await groups.create("mailbox")
    before = await groups.show("mailbox")

    await groups.delete("mail")

    after = await groups.show("mailbox")
    assert [one.done for one in after.partitions] == [one.done for one in before.partitions]
    assert after.lag_events == 3


async def test_a_group_with_live_members_is_deleted_only_by_force(
    groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    await groups.create("mail")
    bench.lease(1, owner="w1", until=bench.now_ms() + 60_000)
    before = contents(server, namespace)

    with pytest.raises(InvalidArgument, match="w1"):
        await groups.delete("mail")
    assert contents(server, namespace) == before

    await groups.delete("mail", force=True)
    assert await groups.list() == ()


async def test_what_a_creation_cut_short_has_left_can_be_deleted(
    groups: Groups, bench: Bench
) -> None:
    # given a group that one partition has and nobody registered
    bench.admin.xgroup_create(bench.keys.log(0), "mail", "0", mkstream=True)
    bench.lease(0, done="0-0")
    # when it is deleted
    await groups.delete("mail")
    # then it is gone
    assert bench.group_info(0) is None
    assert bench.own_keys() == set()
