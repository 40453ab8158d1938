"""Reading: one run, forwards and backwards, and everything in the order of recording."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import Opener
from samples import noted, notes, paused
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    InvalidRunId,
    Position,
    RecordedEvent,
    RunNotFound,
    Settings,
)

PAGES = [1, 3, 500]
"""Sizes of a page: what is read must not depend on them."""


@pytest.fixture(params=PAGES)
async def paged(
    request: pytest.FixtureRequest, open_any: Opener, server: AnyServer, namespace: str
) -> AsyncIterator[EventStore]:
    settings = Settings(page_events=request.param)
    async with open_any(server.url, namespace=namespace, settings=settings) as opened:
        yield opened


async def versions(events: AsyncIterator[RecordedEvent]) -> list[int]:
    return [event.version async for event in events]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"after": 3}, [4, 5, 6, 7]),
        ({"after": 7}, []),
        ({"after": 99}, []),
        ({"limit": 3}, [1, 2, 3]),
        ({"limit": 99}, [1, 2, 3, 4, 5, 6, 7]),
        ({"after": 2, "limit": 4}, [3, 4, 5, 6]),
        ({"backwards": True}, [7, 6, 5, 4, 3, 2, 1]),
        ({"backwards": True, "limit": 2}, [7, 6]),
        ({"backwards": True, "after": 4}, [7, 6, 5]),
        ({"backwards": True, "after": 4, "limit": 2}, [7, 6]),
        ({"backwards": True, "after": 7}, []),
    ],
)
async def test_a_run_is_read_after_a_version_up_to_a_limit_either_way(
    paged: EventStore, asked: dict[str, Any], expected: list[int]
) -> None:
    await paged.append("run", notes(7))
    await paged.append("other", notes(9))

    assert await versions(paged.read_run("run", **asked)) == expected


async def test_a_run_is_loaded_whole_or_after_a_version(paged: EventStore) -> None:
    await paged.append("run", notes(7))

    assert [event.data["text"] for event in await paged.load("run")] == list("1234567")
    assert [event.version for event in await paged.load("run", after=5)] == [6, 7]
    assert await paged.load("run", after=7) == []


async def test_a_run_that_nobody_appended_to_is_not_found(any_store: EventStore) -> None:
    await any_store.append("run", noted())

    for reading in (any_store.load("rum"), any_store.head("rum")):
        with pytest.raises(RunNotFound) as caught:
            await reading
        assert caught.value.run_id == "rum"
        assert isinstance(caught.value, LookupError)
    with pytest.raises(RunNotFound):
        await versions(any_store.read_run("rum", backwards=True))


async def test_a_head_tells_a_run_s_last_version(any_store: EventStore) -> None:
    await any_store.append("run", notes(3))
    await any_store.append("run", notes(2))

    head = await any_store.head("run")

    assert (head.run_id, head.version, head.workflow_id) == ("run", 5, None)


async def test_everything_is_read_in_the_order_of_recording(paged: EventStore) -> None:
    expected: list[Position] = []
    for number in range(12):
        for run in ("a", "b", f"c{number}"):
            expected += (await paged.append(run, notes(1 + number % 3))).positions

    read = [event.position async for event in paged.read_all()]

    assert sorted(read) == sorted(expected)
    assert [p.ms for p in read] == sorted(p.ms for p in read)
    for partition in range(16):
        numbers = [p.n for p in read if p.partition == partition]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_reading_goes_on_after_what_was_reached_in_each_partition(paged: EventStore) -> None:
    for number in range(20):
        await paged.append(f"run-{number}", noted("before"))
    reached = await paged.tails()
    assert [event async for event in paged.read_all(after=reached)] == []

    for number in range(10, 30):
        await paged.append(f"run-{number}", noted("after"))

    later = [event async for event in paged.read_all(after=reached)]
    assert sorted(event.run_id for event in later) == [f"run-{n}" for n in range(10, 30)]
    assert {event.data["text"] for event in later} == {"after"}


async def test_after_one_position_nothing_later_is_missed(paged: EventStore) -> None:
    positions: list[Position] = []
    for number in range(20):
        positions += (await paged.append(f"run-{number}", notes(2))).positions

    for reached in positions[::7]:
        read = [event.position async for event in paged.read_all(after=reached)]
        later = {p for p in positions if p.ms > reached.ms}
        assert later <= set(read)
        assert reached not in read
        assert all(p.ms >= reached.ms for p in read)
        assert len(set(read)) == len(read)


async def test_types_and_a_workflow_choose_among_everything(paged: EventStore) -> None:
    await paged.append("a", [noted(workflow_id="red"), paused()])
    await paged.append("b", [noted(workflow_id="blue"), paused()])
    await paged.append("c", [noted(), paused()])

    async def chosen(**asked: Any) -> set[tuple[str, str]]:
        return {(event.run_id, event.type) async for event in paged.read_all(**asked)}

    assert await chosen(types=["run.paused"]) == {(run, "run.paused") for run in "abc"}
    assert await chosen(types=["run.paused", "note.taken"], workflow_id="blue") == {
        ("b", "note.taken"),
        ("b", "run.paused"),
    }
    assert await chosen(types=[]) == set()
    assert await chosen(workflow_id="green") == set()


async def test_what_is_appended_after_the_reading_began_is_left_for_the_next(
    open_any: Opener, server: AnyServer, namespace: str
) -> None:
    settings = Settings(page_events=2)
    async with open_any(server.url, namespace=namespace, settings=settings) as store:
        await store.append("run", notes(5))
        read = []
        async for event in store.read_all():
            read.append(event.version)
            await store.append("run", noted("meanwhile"))

    assert read == [1, 2, 3, 4, 5]


async def test_a_run_that_grows_while_it_is_read_is_read_to_where_it_was(
    open_any: Opener, server: AnyServer, namespace: str
) -> None:
    settings = Settings(page_events=2)
    async with open_any(server.url, namespace=namespace, settings=settings) as store:
        await store.append("run", notes(4))
        forwards = []
        async for event in store.read_run("run"):
            forwards.append(event.version)
            await store.append("run", noted("meanwhile"))
        assert forwards[:4] == [1, 2, 3, 4]
        assert forwards == list(range(1, len(forwards) + 1))

        assert await versions(store.read_run("run", backwards=True)) == list(range(8, 0, -1))


async def test_the_log_can_be_followed_page_by_page(any_store: EventStore) -> None:
    for number in range(10):
        await any_store.append(f"run-{number}", notes(7))

    reached: dict[int, Position] = {}
    seen: set[Position] = set()
    while events := await any_store.read_log(reached, limit=16):
        assert len(events) <= 16
        seen |= {event.position for event in events}
        reached |= {event.position.partition: event.position for event in events}

    assert len(seen) == 70
    assert {p: at for p, at in (await any_store.tails()).items() if at.n} == reached


async def test_a_follower_is_told_at_once(any_store: EventStore, store: EventStore) -> None:
    await store.append("run", noted("old"))
    reached = await any_store.tails()
    assert await any_store.read_log(reached, limit=10, block_ms=1) == []

    await store.append("run", noted("new"))
    (event,) = await any_store.read_log(reached, limit=10, block_ms=20_000)

    assert event.data["text"] == "new"


@pytest.mark.parametrize(
    "asked", [{"after": -1}, {"after": "1"}, {"after": None}, {"limit": 0}, {"limit": 1.5}]
)
async def test_a_reading_that_makes_no_sense_is_refused(
    any_store: EventStore, asked: dict[str, Any]
) -> None:
    await any_store.append("run", noted())

    with pytest.raises(InvalidArgument):
        await versions(any_store.read_run("run", **asked))


async def test_no_run_has_an_impossible_name(any_store: EventStore) -> None:
    for reading in (any_store.load(""), any_store.head("a\nb"), any_store.load("x" * 201)):
        with pytest.raises(InvalidRunId):
            await reading
