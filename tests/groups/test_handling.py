"""Consumer groups: each event handled, each run in order, by one member or several."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from group_samples import Seen, fill, pending, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, NewEvent, RecordedEvent
from eventstore.groups import ConsumerGroup


async def test_every_event_is_handled_once_and_each_run_in_order(
    store: EventStore, server: AnyServer
) -> None:
    expected = await fill(store, runs=40, each=10)
    seen = Seen()

    handled = await ConsumerGroup(store, "g", seen, create=True, batch_events=64).run_to_end()

    assert handled == len(seen.events) == 400
    assert seen.by_run() == expected
    assert pending(store, server.admin, "g") == 0


async def test_an_event_comes_to_the_handler_as_it_was_recorded(store: EventStore) -> None:
    event = NewEvent("order.placed", {"total": 7}, workflow_id="shop", meta={"actor": "ann"})
    await store.append("run", event)
    seen = Seen()

    await ConsumerGroup(store, "g", seen, create=True).run_to_end()

    assert seen.events == await store.load("run")


async def test_a_running_group_handles_what_is_appended_meanwhile(store: EventStore) -> None:
    seen = Seen()
    async with serving(ConsumerGroup(store, "g", seen, create=True)) as task:
        for count in range(1, 6):
            await store.append("run", noted())
            await until(partial(seen.reached, count), task)

    assert seen.by_run() == {"run": [1, 2, 3, 4, 5]}


async def test_two_groups_each_handle_everything(store: EventStore) -> None:
    expected = await fill(store, runs=10)
    one, other = Seen(), Seen()

    await ConsumerGroup(store, "one", one, create=True).run_to_end()
    await fill(store, runs=1, name="later")
    await ConsumerGroup(store, "other", other, create=True).run_to_end()

    assert one.by_run() == expected
    assert other.by_run() == expected | {"later-0": [1, 2, 3, 4, 5]}


async def test_members_of_one_group_share_the_events(store: EventStore) -> None:
    expected = await fill(store, runs=30, each=10)
    seen: list[tuple[str, int]] = []
    by_member: Counter[str] = Counter()

    async def handle(member: str, event: RecordedEvent) -> None:
        by_member[member] += 1
        seen.append((event.run_id, event.version))
        await asyncio.sleep(0)

    def member(name: str) -> ConsumerGroup:
        return ConsumerGroup(
            store, "g", partial(handle, name), create=True, member=name, batch_events=16
        )

    await asyncio.gather(member("a").run_to_end(), member("b").run_to_end())

    assert sorted(seen) == [(run, v) for run in sorted(expected) for v in expected[run]]
    assert min(by_member["a"], by_member["b"]) > 0


async def test_a_group_goes_on_where_its_last_member_left(store: EventStore) -> None:
    await store.append("run", notes(3))
    first, second = Seen(), Seen()
    await ConsumerGroup(store, "g", first, create=True).run_to_end()
    await store.append("run", notes(2))

    await ConsumerGroup(store, "g", second).run_to_end()

    assert (first.by_run(), second.by_run()) == ({"run": [1, 2, 3]}, {"run": [4, 5]})


async def test_runs_are_handled_side_by_side_up_to_the_limit(store: EventStore) -> None:
    await fill(store, runs=12, each=2)
    under_way: Counter[str] = Counter()
    most = 0

    async def handle(event: RecordedEvent) -> None:
        nonlocal most
        under_way[event.run_id] += 1
        assert under_way[event.run_id] == 1, "one run is handled one event at a time"
        most = max(most, under_way.total())
        await asyncio.sleep(0.01)
        under_way[event.run_id] -= 1

    await ConsumerGroup(store, "g", handle, create=True, concurrency=4).run_to_end()

    assert most == 4
