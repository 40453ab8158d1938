"""What a member of a group keeps in memory is bounded, whatever fails and however long it waits."""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import Any

import pytest
from faults import soon
from group_samples import AT_ONCE, Seen, fill, serving, until
from samples import notes
from servers import AnyServer

from eventstore import EventStore, Position, RecordedEvent
from eventstore.groups import Backoff, ConsumerGroup
from eventstore.groups.hand.hand import Counts, Hand
from eventstore.groups.hand.holding import Holding
from eventstore.groups.hold import Hold, Membership
from eventstore.groups.leases import Grant
from eventstore.groups.member.asking import Asking
from eventstore.groups.parking import Parked, ParkedFilter
from eventstore.groups.selection import Selection
from eventstore.keys import Keys

START = Position(0, 0, 0)


@pytest.fixture
def holding() -> Holding:
    return held()


@pytest.fixture
def another() -> Holding:
    return held()


def held() -> Holding:
    """A partition that was just taken."""
    hold = Hold(Membership(Keys("n", 1), "g", "m"), 0, 1)
    grant = Grant(
        hold, START, START, from_archive=False, is_clean=True, ahead=START, tail=START,
        doubted=START,
    )  # fmt: skip
    return Holding(grant, 0, set())


def at(n: int) -> Position:
    return Position(0, 1_000 + n, n)


def test_while_one_event_waits_those_that_pass_it_take_no_memory(holding: Holding) -> None:
    def pass_by(first: int, last: int) -> int:
        for n in range(first, last):
            holding.take(at(n))
            holding.finish(at(n))
            holding.finished.clear()  # acknowledged
        return tracemalloc.get_traced_memory()[0]

    holding.take(at(1))
    tracemalloc.start()
    try:
        before = pass_by(2, 1_000)
        assert pass_by(1_000, 21_000) - before < 20_000
    finally:
        tracemalloc.stop()
    assert (holding.outstanding, holding.done) == (1, START)
    holding.finish(at(1))
    assert (holding.outstanding, holding.done) == (0, at(20_999))


def test_the_watermark_stands_before_the_first_event_that_is_not_through(
    holding: Holding,
) -> None:
    for n in (3, 4, 7):  # what lies between was through before
        holding.take(at(n))
    marks = [holding.done]
    for n in (4, 3, 7):
        holding.finish(at(n))
        marks.append(holding.done)
    holding.pass_over(at(9))

    assert [*marks, holding.done] == [START, START, at(4), at(7), at(9)]
    assert not holding.is_outstanding(at(3))


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_a_partition_that_is_taken_anew_begins_with_an_empty_hand(
    store: EventStore, holding: Holding, another: Holding
) -> None:
    # given an event that came while its run was being set aside
    await store.append("run", notes(2))
    first, second = await store.load("run")
    hand = Hand(Selection(None, None), Counts(), 10, lambda: 0.0)
    for each in (holding, another):
        each.parked.add("run")
    holding.being_parked.add("run")
    hand.put(holding, [first])
    # when the lease is lost, and taken again
    hand.drop(holding)
    hand.put(another, [first, second])
    # then
    assert hand.to_hold_back == {"run": (another, [first, second])}
    assert hand.in_memory == 2


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_runs_that_fail_again_when_redriven_fill_no_memory(
    store: EventStore, server: AnyServer
) -> None:
    # given many long runs that are set aside
    expected = await fill(store, runs=120, each=20)
    healed = False
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        if not healed:
            raise RuntimeError("fails")
        await seen(event)

    parking = ConsumerGroup(store, "g", handle, create=True, max_deliveries=1)
    await parking.run_to_end()
    assert await Parked(store, "g").redrive(ParkedFilter()) == 120
    # when all of them fail again, and wait
    group = ConsumerGroup(
        store, "g", handle, member="m", backoff=Backoff(60_000), max_deliveries=3,
        max_in_hand_events=40, concurrency=4, lease_ms=300,
    )  # fmt: skip
    members = store.operations.keys.members("g")
    async with serving(group) as task:
        await until(partial(_waits, group), task)
        hand = _hand(group)
        for _ in range(3):  # the member's loop goes round, and might begin more
            beat = server.admin.zscore(members, "m")
            await until(partial(_is_later, server, members, beat), task)
            assert max(hand.in_memory, hand.redriven) <= 40 + store.operations.keys.partitions
    # then what was left comes in order when they are healed
    healed = True
    await ConsumerGroup(store, "g", handle, member="m", backoff=AT_ONCE).run_to_end()
    await soon(lambda: seen.by_run() == expected)


def _hand(group: ConsumerGroup) -> Any:
    assert group._stay is not None
    return group._stay._hand


def _is_later(server: AnyServer, members: str, beat: float) -> bool:
    return bool(server.admin.zscore(members, "m") > beat)


def _waits(group: ConsumerGroup) -> bool:
    """Say whether every redriven run that was begun has failed, and waits."""
    return group._stay is not None and 0 < _hand(group).redriven == group.counts.failed


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
async def test_what_comes_of_many_runs_that_are_set_aside_takes_few_exchanges(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, runs=300, each=1)

    async def handle(_: RecordedEvent) -> None:
        raise RuntimeError("fails")

    group = ConsumerGroup(store, "g", handle, create=True, max_deliveries=1)
    await group.run_to_end()
    await fill(store, runs=300, each=2)
    calls, ask = [], Asking.until_done

    def counted(self: Asking, holdings: Any, call: Any) -> Any:
        calls.append(len(holdings))
        return ask(self, holdings, call)

    monkeypatch.setattr(Asking, "until_done", counted)
    await group.run_to_end()

    assert group.counts.held_back == 600
    assert 0 < len(calls) < 20
