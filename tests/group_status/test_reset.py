"""A group is moved to another place from outside, while its services are stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest
from faults import soon
from samples import contents
from servers import AnyServer

from eventstore import InvalidArgument, Position
from eventstore.clock import from_ms
from eventstore.groups.status import Groups
from group_status.bench import HOUR_MS, Bench


async def test_a_reset_to_the_end_skips_what_waits(groups: Groups, bench: Bench) -> None:
    # given a group that was given two of five events
    await bench.append(3, 2)
    await groups.create("mail")
    bench.take(0, 2)
    # when it is reset to the end
    done = await groups.reset("mail", "end", by="ann")
    # then nothing waits, nothing is pending, and it was told what was skipped
    status = await groups.show("mail")
    assert (status.lag_events, status.pending) == (0, 0)
    assert [(move.again, move.skipped, move.dropped) for move in done.moves] == [
        (0, 3, 2),
        (0, 2, 0),
    ]
    assert (done.skipped, done.again) == (5, 0)


async def test_a_reset_to_the_beginning_gives_everything_again(
    groups: Groups, bench: Bench
) -> None:
    # given a group at the end
    (positions, _) = await bench.append(3, 2)
    await groups.create("mail", "end")
    # when it is reset to the beginning
    done = await groups.reset("mail", "beginning", by="ann")
    # then everything waits, and is delivered
    assert (done.again, done.skipped) == (5, 0)
    assert (await groups.show("mail")).lag_events == 5
    assert bench.take(0, 10) == [at.entry_id.encode() for at in positions]


async def test_a_reset_to_one_position_moves_other_partitions_to_its_time(
    groups: Groups, bench: Bench
) -> None:
    # given events before and after a moment in both partitions
    early, other_early = await bench.append(1, 2)
    await soon(lambda: bench.now_ms() > max(early[-1].ms, other_early[-1].ms))
    late, _ = await bench.append(3, 2)
    await groups.create("mail", "end")
    # when it is reset to the first late one of one partition
    await groups.reset("mail", late[0], by="ann")
    # then the other one gives what came from that millisecond on, and stands at an entry
    here, there = await groups.lag("mail")
    assert (here.done, here.lag_events) == (late[0], 2)
    assert (there.done, there.lag_events) == (other_early[-1], 2)


async def test_a_reset_to_a_time_gives_what_was_recorded_from_then_on(
    groups: Groups, bench: Bench
) -> None:
    # given events before and after a moment
    early, _ = await bench.append(2, 0)
    await soon(lambda: bench.now_ms() > early[-1].ms)
    late, _ = await bench.append(3, 1)
    await groups.create("mail")
    # when it is reset to the millisecond of the first late one
    await groups.reset("mail", from_ms(late[0].ms), by="ann")
    # then it stands behind the last early one
    here, there = await groups.lag("mail")
    assert (here.done, here.lag_events) == (early[-1], 3)
    assert (there.done, there.lag_events) == (Position(1, 0, 0), 1)
    # and a time to come is the end, one long ago the beginning
    await groups.reset("mail", from_ms(late[0].ms) + timedelta(days=1), by="ann")
    assert (await groups.show("mail")).lag_events == 0
    await groups.reset("mail", from_ms(1_000), by="ann")
    assert (await groups.show("mail")).lag_events == 6


async def test_partitions_that_are_not_named_stay_as_they_are(groups: Groups, bench: Bench) -> None:
    # given a group that has two events of partition 1 in hand
    (positions, _) = await bench.append(3, 3)
    await groups.create("mail")
    bench.take(1, 2)
    before = bench.lease_of(1)
    # when partition 0 is reset
    done = await groups.reset("mail", {0: positions[1]}, by="ann")
    # then the other is untouched
    here, there = await groups.lag("mail")
    assert [move.partition for move in done.moves] == [0]
    assert (here.lag_events, there.pending) == (1, 2)
    assert bench.lease_of(1) == before


async def test_a_reset_fences_whoever_held_a_partition(groups: Groups, bench: Bench) -> None:
    # given leases of a dead member, with what it had counted
    await bench.append(2, 0)
    await groups.create("mail")
    bench.lease(0, owner="zombie", epoch=4, until=bench.now_ms() - 1, clean="")
    bench.lease(0, **{"t:5-1": 3, "ahead": "5-1"})
    # when the group is reset
    before_ms = bench.now_ms()
    await groups.reset("mail", "end", by="ann")
    # then nobody has it, under a new epoch, and what was counted is gone
    lease = bench.lease_of(0)
    (tail, _) = [lag.tail for lag in await groups.lag("mail")]
    assert before_ms <= int(lease.pop("moved")) <= bench.now_ms()
    assert lease == {
        "owner": "",
        "epoch": "5",
        "until": "0",
        "done": tail.entry_id,
        "mode": "live",
        "clean": "1",
    }
    assert bench.group_info(0)["last-delivered-id"] == tail.entry_id.encode()


async def test_a_reset_to_what_left_the_log_reads_the_archive(groups: Groups, bench: Bench) -> None:
    (positions, _) = await bench.append(4, 0)
    await groups.create("mail", "end")
    bench.admin.xtrim(bench.keys.log(0), maxlen=2, approximate=False)

    await groups.reset("mail", "beginning", by="ann")
    assert (bench.lease_of(0)["mode"], bench.lease_of(1)["mode"]) == ("archive", "live")
    await groups.reset("mail", {0: positions[0]}, by="ann")
    assert bench.lease_of(0)["mode"] == "archive"
    await groups.reset("mail", {0: positions[1]}, by="ann")
    assert bench.lease_of(0)["mode"] == "live"


async def test_runs_set_aside_stay_unless_they_are_to_be_dropped(
    groups: Groups, bench: Bench
) -> None:
    await groups.create("mail")
    bench.park(0, "a", "b")
    bench.admin.rpush(bench.keys.redrive(0, "mail"), "a")

    await groups.reset("mail", "end", by="ann")
    kept = await groups.show("mail")
    await groups.reset("mail", "end", by="ann", drop_parked=True)
    dropped = await groups.show("mail")

    assert (kept.parked, kept.redriving) == (2, 1)
    assert (dropped.parked, dropped.redriving) == (0, 0)
    assert not bench.admin.exists(bench.keys.dead(0, "mail"))


async def test_resets_are_recorded_the_last_twenty_of_them(groups: Groups, bench: Bench) -> None:
    # given a group
    (positions, _) = await bench.append(2, 0)
    await groups.create("mail")
    # when it is reset more often than is remembered
    for number in range(22):
        await groups.reset("mail", "end" if number % 2 else {0: positions[0]}, by=f"ann-{number}")
    # then the last are there: when, by whom, to where and from where
    resets = (await groups.show("mail")).resets
    assert [one.by for one in resets] == [f"ann-{number}" for number in range(2, 22)]
    assert [one.to for one in resets[:2]] == [str(positions[0]), "end"]
    assert [one.came_from for one in resets[:2]] == [
        (positions[1],),
        (positions[0], Position(1, 0, 0)),
    ]
    assert all(0 <= bench.now_ms() - one.at.timestamp() * 1000 < 60_000 for one in resets)


async def test_a_dry_run_tells_and_changes_nothing(
    groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    # given a group with a live member
    await bench.append(3, 2)
    await groups.create("mail")
    bench.beats("w")
    before = contents(server, namespace)
    # when a reset is tried
    tried = await groups.reset("mail", "end", by="ann", dry_run=True)
    # then it tells what would be, and nothing has changed
    assert (tried.skipped, tried.dry_run) == (5, True)
    assert contents(server, namespace) == before


async def test_nothing_is_reset_while_a_member_lives(
    groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    await bench.append(1, 1)
    await groups.create("mail")
    bench.beats("w1")
    bench.beats("gone", ago_ms=HOUR_MS)
    before = contents(server, namespace)

    with pytest.raises(InvalidArgument, match="w1") as refused:
        await groups.reset("mail", "end", by="ann")
    assert refused.value.members == ("w1",)
    assert contents(server, namespace) == before

    await groups.reset("mail", "end", by="ann", force=True)
    assert (await groups.show("mail")).lag_events == 0


async def test_a_place_that_the_log_lacks_resets_nothing(
    groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    (positions, _) = await bench.append(3, 1)
    await groups.create("mail")
    before = contents(server, namespace)
    at = positions[1]
    another_store = Position(0, at.ms - HOUR_MS, at.n)
    beyond = positions[-1]._replace(n=4)
    for place in (
        another_store,
        beyond,
        {0: positions[0], 1: Position(1, at.ms + HOUR_MS, 1)},
        {1: at},
        Position(7, at.ms, at.n),
        {},
        "middle",
        None,
    ):
        with pytest.raises(InvalidArgument):
            await groups.reset("mail", place, by="ann")  # type: ignore[arg-type]

    for nobody in ("", None, "a\nb"):
        with pytest.raises(InvalidArgument):
            await groups.reset("mail", "end", by=nobody)  # type: ignore[arg-type]

    assert contents(server, namespace) == before


async def test_a_group_that_a_partition_lost_is_there_again_after_a_reset(
    groups: Groups, bench: Bench
) -> None:
    await bench.append(2, 2)
    await groups.create("mail")
    bench.admin.xgroup_destroy(bench.keys.log(0), "mail")
    bench.admin.delete(bench.keys.lease(0, "mail"))

    done = await groups.reset("mail", "beginning", by="ann")

    status = await groups.show("mail")
    assert done.moves[0].came_from is None
    assert (status.problems, status.lag_events) == ({}, 4)
