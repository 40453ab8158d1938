"""A reset or a deletion that is killed between any two calls, and run again, ends the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from samples import contents
from servers import AnyServer

from eventstore import EventStore
from eventstore.commands import Command
from eventstore.groups.status import Groups, steering
from eventstore.plan import Plan, Recall
from group_status.bench import HOUR_MS, Bench, without_logs

MOST_CALLS = 100


class Killed(Exception):
    """Stands for the end of the process."""


async def drive(
    store: EventStore, plan: Plan[Any], before: Callable[[Command[Any]], Awaitable[None]]
) -> None:
    """Run a plan call by call; ``before`` each call something else may happen."""
    try:
        step = next(plan)
        while True:
            result: Any = None
            if not isinstance(step, Recall):
                result = []
                for command in step:
                    await before(command)
                    result += await store.perform(_alone(command))
            step = plan.send(result)
    except StopIteration:
        return
    finally:
        plan.close()


async def survives(store: EventStore, plan: Plan[Any], calls: int) -> bool:
    """Run a plan until ``calls`` were made; False if it was killed there."""
    left = iter(range(calls))

    async def kill(_command: Command[Any]) -> None:
        if next(left, None) is None:
            raise Killed

    try:
        await drive(store, plan, kill)
    except Killed:
        return False
    return True


def _alone(command: Any) -> Plan[Any]:
    return (yield [command])


async def made(groups: Groups, bench: Bench) -> None:
    """Make a group that has all that a group may have, and two members long gone."""
    await groups.create("mail")
    for partition in (0, 1):
        bench.take(partition, 2)
        bench.park(partition, "a")
        bench.lease(partition, owner="gone", epoch=3, until=1, clean="")
    bench.beats("gone", ago_ms=HOUR_MS)


async def test_a_deletion_killed_anywhere_and_run_again_leaves_nothing(
    store: EventStore, groups: Groups, bench: Bench, server: AnyServer, namespace: str
) -> None:
    # given events, and what there is without any group
    await bench.append(3, 3)
    before = contents(server, namespace)
    for calls in count(1):
        # when a deletion is killed after its n-th call
        await made(groups, bench)
        plan = steering.delete(store.operations, "mail", force=False)
        survived = await survives(store, plan, calls)
        if not survived:
            # then the group can be seen until its deletion has been run again
            assert [one.name for one in await groups.list()] == ["mail"]
            await groups.delete("mail")
        after = contents(server, namespace)
        assert without_logs(after) == without_logs(before), f"killed after call {calls}"
        assert [bench.group_info(partition) for partition in (0, 1)] == [None, None]
        if survived:
            break
    assert 5 < calls < MOST_CALLS


async def test_a_reset_killed_anywhere_and_run_again_ends_the_same(
    store: EventStore, groups: Groups, bench: Bench
) -> None:
    # given events, and how a group stands after a reset in peace
    (positions, others) = await bench.append(4, 3)
    target = {0: positions[0], 1: others[1]}
    expected: Any = None
    for calls in count(0):
        await made(groups, bench)
        # when a reset is killed after its n-th call
        plan = steering.reset(
            store.operations, "mail", target, by="ann", dry_run=False, force=False, drop_parked=True
        )
        survived = False if not calls else await survives(store, plan, calls)
        interrupted = await groups.show("mail")
        if not survived:
            # then no partition has lost the group, what was changed is recorded
            assert interrupted.problems == {}
            fenced = [one.epoch for one in interrupted.partitions if one.epoch != 3]
            assert len(interrupted.resets) >= bool(fenced)
            await groups.reset("mail", target, by="ann", drop_parked=True)
        ended = await standing(groups, bench)
        expected = expected or ended
        assert ended == expected, f"killed after call {calls}"
        await groups.delete("mail")
        if survived:
            break
    assert 5 < calls < MOST_CALLS
    assert [lag for _, lag, _ in expected] == [3, 1]


async def standing(groups: Groups, bench: Bench) -> list[Any]:
    """How a group stands after a reset, apart from how often it was tried."""
    found = []
    for partition, lag in enumerate(await groups.lag("mail")):
        lease = bench.lease_of(partition)
        assert int(lease.pop("epoch")) in (4, 5)
        lease.pop("moved")
        facts = (lag.pending, lag.parked, bench.group_info(partition)["last-delivered-id"])
        found.append((lease, lag.lag_events, facts))
    return found


async def test_two_resets_at_the_same_time_are_both_recorded(
    store: EventStore, groups: Groups
) -> None:
    # given a group
    await groups.create("mail")
    resets = iter(["bob", "eve"])

    async def interfere(command: Command[Any]) -> None:
        if command.script == "status/replace_settings" and (other := next(resets, None)):
            await groups.reset("mail", "end", by=other)

    # when others reset it each time that a reset is about to be recorded
    plan = steering.reset(
        store.operations, "mail", "end", by="ann", dry_run=False, force=False, drop_parked=False
    )
    await drive(store, plan, interfere)
    # then all are remembered
    assert [one.by for one in (await groups.show("mail")).resets] == ["bob", "eve", "ann"]
