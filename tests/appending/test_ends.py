"""The end of a run is sticky: only its deletion may follow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Opener
from consistency import assert_consistent
from samples import contents, deleted, ended, noted, notes, paused
from servers import AnyServer

from eventstore import ANY, NO_RUN, RUN_EXISTS, AppendResult, EventStore, NewEvent, RunClosed

ENDS = ["run.completed", "run.failed", "run.aborted"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [*((how, ANY) for how in ENDS), *((ENDS[0], e) for e in (NO_RUN, RUN_EXISTS, 3, 2))],
)
async def test_after_an_end_nothing_can_be_appended_whatever_is_expected(
    any_store: EventStore, server: AnyServer, namespace: str, how: str, expected: Any
) -> None:
    await any_store.append("run", [*notes(2), ended(how)])
    before = contents(server, namespace)

    with pytest.raises(RunClosed) as caught:
        await any_store.append("run", noted("too late"), expected=expected)

    assert (caught.value.run_id, caught.value.version) == ("run", 3)
    assert contents(server, namespace) == before


async def test_another_store_finds_the_run_closed_too(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [noted(), ended()])

    async with open_any(server.url, namespace=namespace) as another:
        with pytest.raises(RunClosed):
            await another.append("run", ended("run.failed"))

        head = await another.head("run")
        assert (head.version, head.closed, head.deleted) == (2, True, False)


async def test_an_open_run_is_not_closed(any_store: EventStore) -> None:
    await any_store.append("run", noted())

    head = await any_store.head("run")
    assert (head.version, head.closed, head.deleted) == (1, False, False)


async def test_a_deletion_may_follow_an_end_and_nothing_may_follow_it(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [noted(), ended()])

    result = await any_store.append("run", deleted(), expected=2)

    assert result.last_version == 3
    head = await any_store.head("run")
    assert (head.closed, head.deleted) == (True, True)
    for event in (noted(), ended(), deleted()):
        with pytest.raises(RunClosed):
            await any_store.append("run", event)
    assert_consistent(server, namespace)


async def test_an_open_run_can_be_deleted(any_store: EventStore) -> None:
    await any_store.append("run", [noted(), deleted()])

    assert (await any_store.head("run")).deleted
    with pytest.raises(RunClosed):
        await any_store.append("run", noted())


@pytest.mark.parametrize(
    "after_the_end", [[noted()], [noted(), deleted()], [deleted(), noted()], [ended()]]
)
async def test_a_deletion_brings_nothing_else_into_a_closed_run(
    any_store: EventStore, server: AnyServer, namespace: str, after_the_end: list[NewEvent]
) -> None:
    await any_store.append("run", ended())
    before = contents(server, namespace)

    with pytest.raises(RunClosed):
        await any_store.append("run", after_the_end)

    assert contents(server, namespace) == before


@pytest.mark.parametrize(
    "events",
    [
        [ended(), noted()],
        [ended(), ended()],
        [noted(), ended("run.failed"), noted(), noted()],
        [ended(), deleted(), noted()],
        [deleted(), deleted()],
    ],
)
async def test_events_after_an_end_in_the_same_append_are_refused_whole(
    any_store: EventStore, server: AnyServer, namespace: str, events: list[NewEvent]
) -> None:
    before = contents(server, namespace)

    with pytest.raises(RunClosed):
        await any_store.append("run", events)

    assert contents(server, namespace) == before


async def test_an_end_and_its_deletion_may_travel_together(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    result = await any_store.append("run", [noted(), ended(), deleted()])

    assert result.last_version == 3
    assert_consistent(server, namespace)


async def test_of_two_who_end_a_run_one_wins_and_the_others_learn_it(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", noted())

    ends = [any_store.append("run", ended(how)) for how in ENDS * 3]
    outcomes = await asyncio.gather(*ends, return_exceptions=True)

    assert [type(o) for o in outcomes].count(AppendResult) == 1
    assert [type(o) for o in outcomes].count(RunClosed) == 8
    assert len(assert_consistent(server, namespace)["run"]) == 2


async def test_what_was_appended_with_a_key_is_still_recognised_after_the_end(
    any_store: EventStore,
) -> None:
    first = await any_store.append("run", noted("paid"), idempotency_key="pay")
    last = await any_store.append("run", ended(), idempotency_key="end")

    again = await any_store.append("run", noted("paid"), idempotency_key="pay")
    end_again = await any_store.append("run", ended(), idempotency_key="end")

    assert (again.positions, again.deduplicated) == (first.positions, True)
    assert (end_again.positions, end_again.deduplicated) == (last.positions, True)


async def test_the_end_takes_all_timers_of_the_run_along(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [paused("a", 0), paused("b"), paused("c", None)])
    await any_store.append("other", paused("a", 0))

    await any_store.append("run", ended("run.aborted"))

    due = await any_store.due()
    assert [d.timer.run_id for d in due] == ["other"]
    assert_consistent(server, namespace)


async def test_a_pause_in_the_append_that_ends_the_run_leaves_no_timer(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", [paused("a", 0), ended()])

    assert await any_store.due() == []
    assert_consistent(server, namespace)
