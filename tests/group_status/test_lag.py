"""What is told of a group: lag from positions, who has what, what is stuck, what was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults import soon

from eventstore import EventStore, Position, Settings, UnknownGroup
from eventstore.groups.status import Groups, GroupStatus
from group_status.bench import HOUR_MS, Bench, age_of

# How far behind


async def test_a_new_group_is_behind_by_all_there_is(groups: Groups, bench: Bench) -> None:
    # given three events in one partition and none in the other
    (positions, _) = await bench.append(3, 0)
    await groups.create("mail")
    # when somebody looks
    status = await groups.show("mail")
    # then all of it waits, since the first was recorded
    first, other = status.partitions
    assert (first.lag_events, first.done, first.tail) == (3, Position(0, 0, 0), positions[-1])
    assert 0 <= first.lag_ms <= age_of(positions[0]) + 1_000
    assert (other.lag_events, other.lag_ms) == (0, 0)
    assert (status.lag_events, status.lag_ms) == (3, first.lag_ms)
    assert (status.name, status.start, status.members) == ("mail", "beginning", ())


async def test_lag_counts_what_lies_behind_done_whatever_was_delivered(
    groups: Groups, bench: Bench
) -> None:
    # given a group that was given all five events and is through with two
    (positions, _) = await bench.append(5, 0)
    await groups.create("mail")
    bench.take(0, 5)
    bench.lease(0, done=positions[1].entry_id)
    # when somebody looks
    (lag, _) = await groups.lag("mail")
    # then three wait, all of them pending
    assert (lag.done, lag.lag_events, lag.pending) == (positions[1], 3, 5)
    assert abs(lag.lag_ms - age_of(positions[2])) < 1_000


async def test_a_group_made_by_other_tools_is_through_with_what_is_not_pending(
    groups: Groups, bench: Bench
) -> None:
    # given a group without a lease that acknowledged the first two of four it was given
    (positions, _) = await bench.append(5, 0)
    await groups.create("mail")
    bench.admin.delete(bench.keys.lease(0, "mail"))
    taken = bench.take(0, 4)
    bench.admin.xack(bench.keys.log(0), "mail", *taken[:2])
    # when somebody looks
    (lag, _) = await groups.lag("mail")
    # then it stands before what is pending
    assert (lag.done, lag.lag_events, lag.problem) == (positions[1], 3, None)


async def test_the_age_of_what_left_the_log_is_told_as_a_lower_bound(
    groups: Groups, bench: Bench
) -> None:
    # given a group that waits for an event that was trimmed
    (first, _) = await bench.append(1, 0)
    await groups.create("mail")
    await soon(lambda: bench.now_ms() > first[0].ms + 20)
    (later, _) = await bench.append(2, 0)
    bench.admin.xtrim(bench.keys.log(0), maxlen=2, approximate=False)
    # when somebody looks
    (lag, _) = await groups.lag("mail")
    # then the count is exact, and the time says that it is the least
    assert (lag.lag_events, lag.mode, lag.lag_ms_is_least) == (3, "archive", True)
    assert lag.lag_ms <= age_of(later[0]) + 1
    assert lag.problem is None


async def test_a_log_trimmed_to_nothing_still_tells_how_much_waits(
    groups: Groups, bench: Bench
) -> None:
    await bench.append(3, 0)
    await groups.create("mail")
    bench.admin.xtrim(bench.keys.log(0), maxlen=0, approximate=False)

    (lag, _) = await groups.lag("mail")

    assert (lag.lag_events, lag.lag_ms_is_least, lag.mode) == (3, True, "archive")


async def test_a_group_that_begins_at_a_time_waits_for_what_came_from_then_on(
    groups: Groups, bench: Bench
) -> None:
    # given a group that stands at a millisecond, not at an entry
    (positions, _) = await bench.append(4, 0)
    await groups.create("mail")
    bench.lease(0, done=f"{positions[0].ms}-0")
    # then all from that millisecond on counts, and nothing before
    (lag, _) = await groups.lag("mail")
    assert (lag.lag_events, lag.lag_ms_is_least) == (4, False)
    # and behind the end there is nothing
    bench.lease(0, done=f"{positions[-1].ms + 1}-0")
    bench.admin.set(bench.keys.tail(0), f"{positions[-1].ms + 1}-4")
    (lag, _) = await groups.lag("mail")
    assert (lag.lag_events, lag.lag_ms) == (0, 0)


# Who has it


async def test_owner_epoch_and_lease_are_told(groups: Groups, bench: Bench) -> None:
    # given one partition held, and one whose lease has ended
    await groups.create("mail")
    bench.lease(0, owner="w1", epoch=7, until=bench.now_ms() + 60_000)
    bench.lease(1, owner="w2", epoch=3, until=bench.now_ms() - 1)
    # when somebody looks
    held, ended = await groups.lag("mail")
    # then the first is leased for what is left, the other is not
    assert (held.owner, held.epoch, ended.owner, ended.epoch) == ("w1", 7, "w2", 3)
    assert 50_000 < held.leased_for_ms <= 60_000
    assert ended.leased_for_ms == 0


async def test_members_are_told_with_their_silence_and_what_they_hold(
    groups: Groups, bench: Bench
) -> None:
    # given a member that beats, one that fell silent, and a silent one that holds a lease
    await groups.create("mail")
    bench.beats("awake")
    bench.beats("gone", ago_ms=HOUR_MS)
    bench.beats("holder", ago_ms=HOUR_MS // 2)
    bench.lease(1, owner="holder", until=bench.now_ms() + 60_000)
    # when somebody looks
    status = await groups.show("mail")
    # then those that beat or hold are alive
    assert [(one.name, one.live, one.partitions) for one in status.members] == [
        ("awake", True, ()),
        ("holder", True, (1,)),
        ("gone", False, ()),
    ]
    assert status.live_members == ("awake", "holder")
    assert status.members[0].silent_ms < 10_000
    assert status.members[2].silent_ms >= HOUR_MS


@pytest.mark.parametrize(("lease_ms", "living"), [(600_000, ["idle", "m"]), (20_000, ["m"])])
async def test_who_was_not_heard_for_a_lease_is_silent_however_long_leases_are(
    groups: Groups, bench: Bench, lease_ms: int, living: list[str]
) -> None:
    # given a member that has a lease, and one that has none and was heard before that
    await groups.create("mail")
    bench.beats("m")
    bench.lease(1, owner="m", until=bench.now_ms() + lease_ms)
    bench.beats("idle", ago_ms=100_000)
    # then the length of the lease, which each heartbeat renews, tells whether it lives
    assert sorted((await groups.show("mail")).live_members) == living


async def test_pending_parked_and_redriving_are_counted(groups: Groups, bench: Bench) -> None:
    # given pending entries, three runs set aside, one of them to be redriven
    await bench.append(3, 2)
    await groups.create("mail")
    bench.take(0, 2)
    bench.take(1, 1)
    bench.park(0, "a", "b")
    bench.park(1, "c")
    bench.admin.rpush(bench.keys.redrive(0, "mail"), "a")
    # when somebody looks once they have been pending for a while
    status = await seen(groups, lambda status: status.oldest_pending_ms >= 5)
    # then all is counted, in each partition and in all
    assert [(one.pending, one.parked, one.redriving) for one in status.partitions] == [
        (2, 2, 1),
        (1, 1, 0),
    ]
    assert (status.pending, status.parked, status.redriving) == (3, 3, 1)


async def seen(groups: Groups, condition: Callable[[GroupStatus], object]) -> GroupStatus:
    """Look until the condition holds."""
    for _ in range(10_000):
        status = await groups.show("mail")
        if condition(status):
            return status
    raise AssertionError


# What is stuck


def waiting_lease(bench: Bench, moved_ms: int, left_ms: int = 60_000) -> None:
    now_ms = bench.now_ms()
    bench.lease(0, owner="w", epoch=1, until=now_ms + left_ms, moved=now_ms - moved_ms)


async def test_an_owner_that_does_not_get_on_is_stalled(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given an event that waits, and a setting of 20 ms
    await bench.append(1, 0)
    await groups.create("mail")
    waiting_lease(bench, moved_ms=HOUR_MS)
    object.__setattr__(store.operations, "settings", Settings(stall_after_ms=20))
    # then after that long it is stalled
    assert (await seen(groups, lambda status: status.stalled)).stalled == (0,)
    # and no longer once it has got on, or lost the lease, or there is nothing to do
    waiting_lease(bench, moved_ms=-1_000)
    assert not (await groups.lag("mail"))[0].stalled
    waiting_lease(bench, moved_ms=HOUR_MS, left_ms=-1)
    assert not (await groups.lag("mail"))[0].stalled
    waiting_lease(bench, moved_ms=HOUR_MS)
    assert (await groups.lag("mail"))[0].stalled
    bench.lease(0, done=(await store.tails())[0].entry_id)
    assert not (await groups.lag("mail"))[0].stalled


async def test_an_idle_group_is_not_stalled_by_the_first_event_after_a_while(
    groups: Groups, bench: Bench
) -> None:
    # given a group that had nothing to do for an hour
    await groups.create("mail")
    waiting_lease(bench, moved_ms=HOUR_MS)
    # when an event comes
    await bench.append(1, 0)
    # then it has its time
    assert not (await groups.lag("mail"))[0].stalled


# What was lost


async def test_a_group_beyond_the_end_of_the_log_is_told_and_not_raised(
    groups: Groups, bench: Bench
) -> None:
    # given a log that lost what the group had handled
    (positions, _) = await bench.append(2, 0)
    await groups.create("mail", "end")
    bench.admin.set(bench.keys.tail(0), positions[0].entry_id)
    bench.admin.xdel(bench.keys.log(0), positions[1].entry_id)
    # when somebody looks
    status = await groups.show("mail")
    # then the loss is told, and the lag is not made up
    lost, other = status.partitions
    assert "lost acknowledged writes" in lost.problem
    assert str(positions[1]) in lost.problem
    assert (lost.lag_events, lost.lag_ms, lost.stalled) == (None, None, False)
    assert (status.lag_events, status.lag_ms) == (None, None)
    assert other.problem is None
    assert set(status.problems) == {0}


async def test_a_lost_tail_that_others_replaced_is_told(groups: Groups, bench: Bench) -> None:
    # given a log whose last entry, which the group has handled, gave way to another
    (positions, _) = await bench.append(3, 0)
    await groups.create("mail")
    at = positions[1]
    bench.lease(0, done=f"{at.ms + 5}-{at.n}")
    bench.admin.set(bench.keys.tail(0), f"{at.ms + 10}-4")
    # when somebody looks
    (lag, _) = await groups.lag("mail")
    # then it is told
    assert "others took their place" in lag.problem


async def test_a_group_that_one_partition_lost_is_told(groups: Groups, bench: Bench) -> None:
    await bench.append(1, 1)
    await groups.create("mail")
    bench.admin.xgroup_destroy(bench.keys.log(1), "mail")

    status = await groups.show("mail")

    assert [one.problem is None for one in status.partitions] == [True, False]
    assert "missing here" in status.problems[1]


async def test_a_mistyped_group_is_unknown(groups: Groups, bench: Bench) -> None:
    await groups.create("mail")

    for ask in (groups.show, groups.lag, groups.delete):
        with pytest.raises(UnknownGroup, match="mail"):
            await ask("mial")
    with pytest.raises(UnknownGroup):
        await groups.reset("mial", "end", by="ann")
    assert [one.name for one in await groups.list()] == ["mail"]


async def test_all_groups_are_listed_by_name(groups: Groups, bench: Bench) -> None:
    await bench.append(2, 1)
    assert await groups.list() == ()
    await groups.create("two")
    await groups.create("one", "end")

    found = await groups.list()

    assert [(one.name, one.start, one.lag_events) for one in found] == [
        ("one", "end", 0),
        ("two", "beginning", 3),
    ]
    assert found[0] == await groups.show("one")
