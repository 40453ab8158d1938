"""Members that die, or are put to sleep: others go on, each run in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from faults import Python, soon
from group_samples import (
    SOON_MS,
    Notebook,
    Seen,
    fill,
    first_handlings,
    pending,
    serving,
    until,
)
from samples import notes
from servers import AnyServer

from eventstore import EventStore, RecordedEvent
from eventstore.groups import ConsumerGroup
from groups.ground import idle_ms

MEMBER = """
import asyncio, os, sys
from eventstore import EventStore
from eventstore.groups import ConsumerGroup

url, namespace, member, path = sys.argv[1:]
handled = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def handle(event):
    os.write(handled, f"{event.run_id} {event.version}\\n".encode())
    await asyncio.sleep(0.001)

async def main():
    async with EventStore.open(url, namespace=namespace) as store:
        await ConsumerGroup(
            store, "g", handle, create=True, member=member, lease_ms=300, batch_events=64
        ).run()

asyncio.run(main())
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path / "handled")


async def test_what_a_killed_member_left_is_finished_by_another(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    # given a member that is killed in the middle
    expected = await fill(store, runs=50, each=10)
    with Python(MEMBER, server.url, namespace, "first", notebook.path) as first:
        await soon(partial(notebook.reached, 60))
        first.kill()
    assert pending(store, server.admin, "g") > 0
    # when another one serves
    seen = Seen()
    group = ConsumerGroup(store, "g", seen, lease_ms=SOON_MS)
    async with serving(group) as task:
        await until(lambda: len({*notebook.places, *seen.places}) == 500, task)
        await until(lambda: pending(store, server.admin, "g") == 0, task)
    # then nothing is missing
    assert group.counts.recovered > 0
    handled = {*notebook.places, *seen.places}
    assert handled == {(run, v) for run in expected for v in expected[run]}


async def test_a_killed_member_that_comes_back_goes_on_in_order(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    expected = await fill(store, runs=50, each=20)
    for kill_at in (1, 50, 150, 300):
        with Python(MEMBER, server.url, namespace, "same", notebook.path) as member:
            await soon(partial(notebook.reached, kill_at))
            member.kill()
        assert pending(store, server.admin, "g") > 0
    with Python(MEMBER, server.url, namespace, "same", notebook.path):
        await soon(lambda: len(set(notebook.places)) == 1_000)
        await soon(lambda: pending(store, server.admin, "g") == 0)

    assert first_handlings(notebook.places) == expected


async def test_a_member_put_to_sleep_is_replaced_and_may_wake_up(
    store: EventStore, server: AnyServer, namespace: str, notebook: Notebook
) -> None:
    # given a member that sleeps with events in hand
    expected = await fill(store, runs=50, each=10)
    with Python(MEMBER, server.url, namespace, "sleepy", notebook.path) as sleepy:
        await soon(partial(notebook.reached, 20))
        os.kill(sleepy._process.pid, signal.SIGSTOP)
        assert pending(store, server.admin, "g") > 0
        # when another one finishes everything, and then the first wakes
        seen = Seen()
        async with serving(ConsumerGroup(store, "g", seen, lease_ms=SOON_MS)) as task:
            await until(lambda: pending(store, server.admin, "g") == 0, task)
            os.kill(sleepy._process.pid, signal.SIGCONT)
            await store.append("last", notes(20))
            await until(lambda: len({*notebook.places, *seen.places}) == 520, task)
            await until(lambda: pending(store, server.admin, "g") == 0, task)
    # then nothing is missing
    handled = {*notebook.places, *seen.places}
    assert handled >= {(run, v) for run in expected for v in expected[run]}


async def test_what_a_living_member_works_on_is_not_taken_from_it(
    store: EventStore, server: AnyServer
) -> None:
    await store.append("run", notes(2))
    begun, go_on = asyncio.Event(), asyncio.Event()
    slow, other = Seen(), Seen()

    async def handle(event: RecordedEvent) -> None:
        begun.set()
        await go_on.wait()
        await slow(event)

    def member(handler: Callable[[RecordedEvent], object]) -> ConsumerGroup:
        return ConsumerGroup(store, "g", handler, create=True, lease_ms=SOON_MS)

    async with serving(member(handle)) as task:
        await begun.wait()
        async with serving(member(other)) as second:
            log = store.operations.keys.log(store.operations.keys.partition_of("run"))
            await until(lambda: idle_ms(server, log) > 4 * SOON_MS, second)
            go_on.set()
            await until(lambda: len(slow.events) == 2, task)

    assert other.events == []
