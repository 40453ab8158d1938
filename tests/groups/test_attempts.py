"""Which attempts at an event count: those that were begun, however often its members died."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import Python
from group_samples import AT_ONCE, Notebook, Seen, fill, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, RecordedEvent
from eventstore.groups import ConsumerGroup, Delivery, Retry
from eventstore.groups.member.asking import Asking

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

MEMBER = """
import asyncio, os, sys
from eventstore import EventStore
from eventstore.groups import ConsumerGroup

url, namespace, path, concurrency = sys.argv[1:]
begun = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def handle(event):
    os.write(begun, f"{event.run_id} {event.version}\\n".encode())
    if event.data["text"] == "kills":
        os._exit(9)

async def main():
    async with EventStore.open(url, namespace=namespace) as store:
        group = ConsumerGroup(
            store, "g", handle, create=True, member="m", max_deliveries=3,
            concurrency=int(concurrency),
        )
        await group.run_to_end()

asyncio.run(main())
"""


@pytest.fixture
def begun(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path / "begun")


def serve(server: AnyServer, namespace: str, begun: Notebook, concurrency: int = 16) -> int:
    """Let a member in a process of its own serve to the end; give its exit code."""
    with Python(MEMBER, server.url, namespace, begun.path, concurrency) as process:
        return process._process.wait(60)


async def append_together(store: EventStore, *texts: str) -> list[str]:
    """Append to runs of one partition, an event each; give their ids."""
    keys, found = store.operations.keys, list[str]()
    numbers = iter(range(10_000))
    for text in texts:
        found.append(next(r for n in numbers if keys.partition_of(r := f"run-{n}") == 0))
        await store.append(found[-1], noted(text))
    return found


async def test_what_a_member_that_died_never_began_is_tried_as_often_as_anything_else(
    store: EventStore, server: AnyServer, namespace: str, begun: Notebook
) -> None:
    # given an event that two members had in hand, and did not come to, when another killed them
    killer, innocent = await append_together(store, "kills", "is innocent")
    assert [serve(server, namespace, begun, concurrency=1) for _ in range(2)] == [9, 9]
    assert begun.places == [(killer, 1)] * 2
    # when it fails
    attempts: list[int] = []

    async def handle(event: RecordedEvent, delivery: Delivery) -> None:
        if event.run_id == innocent:
            attempts.append(delivery.attempt)
            raise ValueError("fails")

    group = ConsumerGroup(store, "g", handle, member="m", max_deliveries=3, backoff=AT_ONCE)
    await group.run_to_end()
    # then only these attempts count, and none of them is told to be the first
    (parked,) = await group.parked()
    assert (parked.run_id, parked.failure.kind) == (innocent, "ValueError")
    assert attempts == [2, 3, 4]


async def test_an_event_that_kills_its_process_is_parked_and_those_beside_it_are_handled(
    store: EventStore, server: AnyServer, namespace: str, begun: Notebook
) -> None:
    killer, *others = await append_together(store, "kills", *["is innocent"] * 5)

    codes = [serve(server, namespace, begun)]
    while codes[-1]:
        codes.append(serve(server, namespace, begun))

    # the first of them may have come before the handler began
    assert codes == [9, 9, 9, 9, 0]
    (parked,) = await ConsumerGroup(store, "g", print).parked()
    assert (parked.run_id, parked.failure.kind) == (killer, "ProcessDied")
    assert {run_id for run_id, _ in begun.places} == {killer, *others}


async def test_what_failed_with_one_member_is_counted_on_with_the_next(store: EventStore) -> None:
    attempts: list[int] = []

    async def handle(_: RecordedEvent, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) == 2:
            first.stop()
        raise ValueError("fails")

    def make(name: str) -> ConsumerGroup:
        return ConsumerGroup(
            store, "g", handle, create=True, member=name, max_deliveries=4, backoff=AT_ONCE
        )

    await store.append("run", noted())
    first = make("first")
    await first.run()
    assert attempts == [1, 2]
    await make("second").run_to_end()

    assert attempts == [1, 2, 3, 4]


async def test_an_attempt_whose_lease_ran_out_before_it_began_is_counted_once(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a lease that is over when the answer to a count comes
    ask, late = Asking.command, list[object]()

    async def answer_late(self: Asking, holding: Any, command: Any) -> Any:
        answer = await ask(self, holding, command)
        if command.script in ("deliver", "parking/begin") and len(late) < 2:
            late.append(answer)
            holding.valid_until_s = 0
        return answer

    monkeypatch.setattr(Asking, "command", answer_late)
    attempts: list[int] = []

    async def handle(_: RecordedEvent, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise ValueError("fails")

    # when
    await store.append("run", noted())
    group = ConsumerGroup(store, "g", handle, create=True, max_deliveries=3, backoff=AT_ONCE)
    await group.run_to_end()
    assert (len(late), attempts) == (2, [1, 2, 3])
    # then likewise where the run is handled after all
    late.clear()
    attempts.clear()
    assert await group.redrive("run")
    await group.run_to_end()
    assert (len(late), attempts) == (2, [1, 2, 3])


async def test_a_run_that_is_to_be_tried_alone_and_waits_keeps_nobody_waiting(
    store: EventStore, server: AnyServer
) -> None:
    # given two events of a run that were at work whenever their member died
    await ConsumerGroup(store, "g", print, create=True).run_to_end()
    await store.append("waits", notes(2))
    (first, second), admin = await store.load("waits"), server.admin
    log = store.operations.keys.log(first.position.partition)
    admin.xreadgroup("g", "dead", {log: ">"})
    ids = [first.position.entry_id, second.position.entry_id]
    admin.xclaim(log, "g", "dead", 0, ids, retrycount=2, justid=True)
    seen = Seen()

    async def handle(event: RecordedEvent) -> None:
        if event.run_id == "waits":
            raise Retry(3_600)
        await seen(event)

    # when the first of them fails, and is to be tried again much later
    group = ConsumerGroup(store, "g", handle, max_deliveries=100)
    async with serving(group) as task:
        await until(lambda: group.counts.failed, task)
        expected = await fill(store, runs=20)
        # then the others go on
        await until(partial(seen.reached, 100), task)

    assert seen.by_run() == expected
