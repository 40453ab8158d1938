"""Appends on their way are bounded: who finds no room waits for a turn, and no place is lost."""

from __future__ import annotations

import asyncio

import pytest
from consistency import assert_consistent
from samples import noted
from servers import AnyServer

from eventstore import Append, AppendResult, InvalidRunId, Settings, SyncEventStore
from eventstore.transport.room import Room


async def waiting(room: Room, told: list[str], name: str) -> None:
    await room.wait()
    told.append(name)


async def test_places_go_to_those_who_waited_longest() -> None:
    room, told = Room(1), list[str]()
    assert room.take()
    tasks = [asyncio.create_task(waiting(room, told, name)) for name in "abc"]
    await asyncio.sleep(0)

    assert not room.take()
    for _ in tasks:
        room.give_back()
    await asyncio.gather(*tasks)

    assert told == ["a", "b", "c"]


@pytest.mark.parametrize("gives_back_first", [True, False])
async def test_a_place_is_not_lost_with_one_who_gives_up(gives_back_first: bool) -> None:
    # given one who waits for the only place, and gives up right after or before it is given
    room, told = Room(1), list[str]()
    room.take()
    task = asyncio.create_task(waiting(room, told, "a"))
    await asyncio.sleep(0)
    acts = [room.give_back, task.cancel]
    for act in acts if gives_back_first else reversed(acts):
        act()
    await asyncio.wait([task])
    # then the next one finds it, and it is one place still
    assert told == []
    assert (room.take(), room.take()) == (True, False)


def test_many_blocking_appends_go_out_bit_by_bit_each_with_its_own_outcome(
    server: AnyServer, namespace: str
) -> None:
    # given many more appends than go out at a time, some of them impossible
    settings = Settings(max_script_events=3)
    with SyncEventStore.open(
        server.url, namespace=namespace, partitions=2, settings=settings
    ) as store:
        asked = [
            Append("" if number % 10 == 0 else f"run-{number % 7}", [noted(str(number))] * 2)
            for number in range(200)
        ]
        outcomes = store.append_many(asked)
    # then each has its own result or error, in order, and each run's events are in order
    assert [type(outcome) for outcome in outcomes] == [
        InvalidRunId if number % 10 == 0 else AppendResult for number in range(200)
    ]
    histories = assert_consistent(server, namespace)
    for number in range(7):
        texts = [entry.event["data"]["text"] for entry in histories[f"run-{number}"]]
        wanted = [str(n) for n in range(200) if n % 7 == number and n % 10 for _ in range(2)]
        assert texts == wanted
