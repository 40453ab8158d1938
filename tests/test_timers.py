"""Timers: set, moved and cleared only together with an append, handed out under a lease."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from consistency import assert_consistent
from samples import ended, noted, paused, resumed
from servers import AnyServer

from eventstore import EventStore, InvalidArgument, NewEvent, WrongExpectedVersion
from eventstore.due_index import settle_timers
from eventstore.plan import together

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LONG_AGO = datetime(2012, 6, 1, tzinfo=UTC)


def now_of(server: AnyServer, later_ms: int = 0) -> datetime:
    seconds, micros = server.admin.time()
    return datetime.fromtimestamp(seconds + micros / 1e6, UTC) + timedelta(milliseconds=later_ms)


async def test_a_pause_is_due_when_its_window_ends_and_not_before(
    any_store: EventStore, server: AnyServer
) -> None:
    result = await any_store.append("run", paused("p1", MINUTE_MS))
    ends_ms = result.positions[0].ms + MINUTE_MS

    assert await any_store.due() == []
    assert await any_store.due(datetime.fromtimestamp((ends_ms - 1) / 1000, UTC)) == []
    (due,) = await any_store.due(datetime.fromtimestamp(ends_ms / 1000, UTC))

    assert (due.timer.kind, due.timer.run_id, due.timer.ref) == ("window", "run", "p1")
    assert due.due_ms == ends_ms


async def test_a_window_counts_from_when_the_pause_happened(any_store: EventStore) -> None:
    await any_store.append("run", paused("p1", MINUTE_MS, occurred_at=LONG_AGO))

    (due,) = await any_store.due()

    assert due.due_ms == int(LONG_AGO.timestamp() * 1000) + MINUTE_MS


async def test_a_window_of_zero_is_due_at_once_and_one_without_end_never(
    any_store: EventStore, server: AnyServer
) -> None:
    await any_store.append("at once", paused("p1", 0))
    await any_store.append("never", paused("p2", None))

    assert [d.timer.run_id for d in await any_store.due()] == ["at once"]
    assert await any_store.due(now_of(server, 1000 * 365 * 86_400_000), lease_ms=1) != []


@pytest.mark.parametrize(
    "clearing", [resumed(), NewEvent("run.window_expired", {"pause_id": "p1"}), ended()]
)
async def test_what_ends_the_pause_clears_its_timer(
    any_store: EventStore, server: AnyServer, namespace: str, clearing: NewEvent
) -> None:
    await any_store.append("run", paused("p1", 0))

    await any_store.append("run", clearing)

    assert await any_store.due() == []
    assert_consistent(server, namespace)


async def test_only_the_pause_that_ended_loses_its_timer(any_store: EventStore) -> None:
    await any_store.append("run", [paused("p1", 0), paused("p2", 0)])
    await any_store.append("other", paused("p1", 0))

    await any_store.append("run", resumed("p1"))

    due = {(d.timer.run_id, d.timer.ref) for d in await any_store.due()}
    assert due == {("run", "p2"), ("other", "p1")}


async def test_a_pause_that_is_over_within_its_append_sets_no_timer(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [paused("p1", 0), resumed("p1")])
    assert await any_store.due() == []

    await any_store.append("run", [paused("p1", 0), resumed("p1"), paused("p1", 0)])
    assert [d.timer.ref for d in await any_store.due()] == ["p1"]
    assert_consistent(server, namespace)


async def test_the_same_pause_again_moves_its_timer(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", paused("p1", 0))

    await any_store.append("run", paused("p1", MINUTE_MS))

    assert await any_store.due() == []
    assert len(await any_store.due(now_of(server, 2 * MINUTE_MS))) == 1
    assert_consistent(server, namespace)


async def test_a_refused_append_sets_no_timer(any_store: EventStore) -> None:
    await any_store.append("run", noted())

    with pytest.raises(WrongExpectedVersion):
        await any_store.append("run", paused("p1", 0), expected=5)

    assert await any_store.due() == []


async def test_a_timer_is_handed_to_one_taker_until_the_lease_ends(
    any_store: EventStore, store: EventStore, server: AnyServer
) -> None:
    await any_store.append("run", paused("p1", 0))

    (taken,) = await any_store.due(lease_ms=MINUTE_MS)

    assert await any_store.due() == []
    assert await store.due() == []
    (again,) = await store.due(now_of(server, MINUTE_MS + 1000))
    assert again.timer == taken.timer
    assert again.due_ms == taken.lease_until_ms


async def test_many_takers_at_once_get_each_timer_once(any_store: EventStore) -> None:
    for number in range(30):
        await any_store.append(f"run-{number}", paused("p1", 0))

    taken = await asyncio.gather(*(any_store.due(limit=7) for _ in range(8)))

    runs = [due.timer.run_id for page in taken for due in page]
    assert all(len(page) <= 7 for page in taken)
    assert sorted(runs) == sorted(set(runs))
    rest = await any_store.due()
    assert {*runs, *(due.timer.run_id for due in rest)} == {f"run-{n}" for n in range(30)}


async def test_due_timers_come_earliest_first_and_no_more_than_asked(
    any_store: EventStore,
) -> None:
    for number in range(10):
        when = LONG_AGO + timedelta(days=(number * 7) % 10)
        await any_store.append(f"run-{number}", paused("p1", 0, occurred_at=when))

    pages = [await any_store.due(limit=4) for _ in range(4)]

    assert [len(page) for page in pages] == [4, 4, 2, 0]
    for page in pages:
        assert [due.due_ms for due in page] == sorted(due.due_ms for due in page)


async def test_those_due_first_are_found_wherever_they_are(any_store: EventStore) -> None:
    # given windows of which nearly all the earlier ones ended in one partition
    keys = any_store.operations.keys
    names = [f"run-{number}" for number in range(400)]
    crowded = [name for name in names if keys.partition_of(name) == 3]
    others = [name for name in names if keys.partition_of(name) != 3][: len(crowded)]
    when = {name: LONG_AGO + timedelta(minutes=n) for n, name in enumerate(crowded)}
    when |= {name: LONG_AGO + timedelta(minutes=n, days=1) for n, name in enumerate(others)}
    when[others[-1]] = LONG_AGO
    for name, at in when.items():
        await any_store.append(name, paused("p1", 0, occurred_at=at))
    # when some of them are taken at a time / then they come in their order
    expected = sorted(int(at.timestamp() * 1000) for at in when.values())
    assert len(crowded) > 15
    for limit in (1, len(crowded) - 3, len(expected)):
        taken = await any_store.due(limit=limit)
        assert [due.due_ms for due in taken] == expected[:limit]
        del expected[:limit]
    assert expected == []


async def test_settling_many_takes_off_those_whose_lease_holds(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    # given leased timers of many partitions, some of which somebody else leased later
    for number in range(20):
        await any_store.append(f"run-{number}", paused("p1", 0))
    before = await any_store.due(lease_ms=1000)
    after = await any_store.due(now_of(server, 5000), limit=8, lease_ms=HOUR_MS)
    # when the first one settles all of his / then the other keeps his
    settled = await any_store.perform(together(settle_timers(any_store.operations.keys, before)))
    assert sum(settled) == 12
    left = await any_store.due(now_of(server, 2 * HOUR_MS))
    assert {due.timer for due in left} == {due.timer for due in after}
    assert_consistent(server, namespace)


async def test_settling_takes_a_timer_off_only_while_the_lease_holds(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", paused("p1", 0))
    (first,) = await any_store.due(lease_ms=1000)
    (second,) = await any_store.due(now_of(server, 5000), lease_ms=1000)

    assert not await any_store.perform(any_store.operations.settle(first))
    assert await any_store.perform(any_store.operations.settle(second))

    assert await any_store.due(now_of(server, MINUTE_MS)) == []
    assert_consistent(server, namespace)


@pytest.mark.parametrize(
    ("run_id", "pause_id"),
    [
        ("a|b", "p|q"),
        ("a%7Cb", "%7C"),
        ("%", "|"),
        ("ключ|{}*", "п ✓"),
        ("a|b|c|%", "x"),
        (" ", " "),
    ],
)
async def test_odd_names_come_back_from_a_timer_as_they_were(
    any_store: EventStore, server: AnyServer, namespace: str, run_id: str, pause_id: str
) -> None:
    await any_store.append(run_id, paused(pause_id, 0))

    (due,) = await any_store.due()

    assert (due.timer.run_id, due.timer.ref) == (run_id, pause_id)
    assert_consistent(server, namespace)
    await any_store.append(run_id, resumed(pause_id))
    assert_consistent(server, namespace)


async def test_a_thousand_pauses_in_one_append_set_a_thousand_timers(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [paused(str(n), 0) for n in range(1000)])

    assert len(await any_store.due(limit=2000)) == 1000
    await any_store.append("run", ended())
    assert_consistent(server, namespace)


@pytest.mark.parametrize(("limit", "lease_ms"), [(0, 1), (-1, 1), (1, 0), (1.5, 1)])
async def test_taking_timers_needs_a_limit_and_a_lease(
    any_store: EventStore, limit: int, lease_ms: int
) -> None:
    with pytest.raises(InvalidArgument):
        await any_store.due(limit=limit, lease_ms=lease_ms)
