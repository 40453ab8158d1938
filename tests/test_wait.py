"""Waiting for an event of a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from conftest import Opener
from samples import deleted, ended, noted, notes, paused
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    InvalidRunId,
    RecordedEvent,
    RunClosed,
    Settings,
    WaitTimeout,
)

LONG_S = 20.0
Until = int | str | list[str] | Callable[[RecordedEvent], bool]


@pytest.mark.parametrize(
    ("until", "version"),
    [
        (1, 1),
        (3, 3),
        ("note.taken", 1),
        (["run.paused", "run.resumed"], 4),
        (lambda event: event.data.get("text") == "2", 2),
    ],
)
async def test_an_event_of_the_past_is_found_at_once(
    any_store: EventStore, until: Until, version: int
) -> None:
    await any_store.append("run", [*notes(3), paused()])

    event = await any_store.wait("run", until, timeout=LONG_S)

    assert event.version == version
    assert event == (await any_store.load("run"))[version - 1]


async def test_a_past_event_is_found_beyond_the_first_page(
    open_any: Opener, server: AnyServer, namespace: str
) -> None:
    settings = Settings(page_events=3)
    async with open_any(server.url, namespace=namespace, settings=settings) as store:
        await store.append("run", [*notes(10), paused()])

        assert (await store.wait("run", "run.paused", timeout=LONG_S)).version == 11


async def test_an_event_of_the_future_is_given_as_soon_as_it_is_there(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    waiting = asyncio.create_task(any_store.wait("not there yet", "run.paused", timeout=LONG_S))
    async with open_any(server.url, namespace=namespace) as another:
        await another.append("another run", paused())
        await another.append("not there yet", notes(2))
        assert not waiting.done()
        began = time.monotonic()
        await another.append("not there yet", paused())
        event = await waiting

    assert (event.run_id, event.version) == ("not there yet", 3)
    assert time.monotonic() - began < 1


async def test_events_of_other_runs_are_not_taken_for_it(any_store: EventStore) -> None:
    await any_store.append("other", paused())
    waiting = asyncio.create_task(any_store.wait("run", "run.paused", timeout=0.3))
    await any_store.append("other", paused("p2"))

    with pytest.raises(WaitTimeout) as caught:
        await waiting

    assert "0.3 s" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("timeout", [0.2, timedelta(milliseconds=200), 0])
async def test_what_does_not_come_is_a_time_out(
    any_store: EventStore, timeout: float | timedelta
) -> None:
    await any_store.append("run", noted())
    began = time.monotonic()

    with pytest.raises(WaitTimeout):
        await any_store.wait("run", 2, timeout)

    assert time.monotonic() - began < 2


async def test_a_run_that_ends_otherwise_ends_the_waiting(any_store: EventStore) -> None:
    await any_store.append("run", noted())
    waiting = asyncio.create_task(any_store.wait("run", "run.paused", timeout=LONG_S))

    await any_store.append("run", ended())

    with pytest.raises(RunClosed) as caught:
        await waiting
    assert caught.value.version == 2
    with pytest.raises(RunClosed):
        await any_store.wait("run", ["run.paused", "run.failed"], timeout=LONG_S)


async def test_the_end_itself_and_the_deletion_after_it_can_be_waited_for(
    any_store: EventStore,
) -> None:
    await any_store.append("run", [noted(), ended()])
    assert (await any_store.wait("run", "run.completed", timeout=LONG_S)).version == 2

    waiting = asyncio.create_task(any_store.wait("run", "run.deleted", timeout=LONG_S))
    await any_store.append("run", deleted())
    assert (await waiting).version == 3


async def test_a_hundred_can_wait_at_once(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    async def wait(number: int) -> RecordedEvent:
        return await store.wait(f"run-{number}", "note.taken", timeout=LONG_S)

    waiting = [asyncio.create_task(wait(number)) for number in range(100)]
    await asyncio.sleep(0)
    for number in reversed(range(100)):
        began = time.monotonic()
        await store.append(f"run-{number}", noted())
        assert (await waiting[number]).run_id == f"run-{number}"
        assert time.monotonic() - began < 2, "the wait was not told in time"

    assert len(server.admin.client_list()) < 40  # max_connections and the few beside


async def test_who_gives_up_waiting_leaves_the_store_usable(any_store: EventStore) -> None:
    waiting = asyncio.create_task(any_store.wait("run", "run.paused", timeout=1))
    await any_store.append("run", noted())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await any_store.append("run", noted())
    assert (await any_store.wait("run", 2, timeout=LONG_S)).version == 2


@pytest.mark.parametrize("until", [True, None, [], 1.5])
async def test_nobody_waits_for_what_cannot_be(any_store: EventStore, until: Any) -> None:
    with pytest.raises(InvalidArgument):
        await any_store.wait("run", until, timeout=0.1)


async def test_nobody_waits_for_a_run_that_cannot_be(any_store: EventStore) -> None:
    with pytest.raises(InvalidRunId):
        await any_store.wait("", 1, timeout=0.1)
