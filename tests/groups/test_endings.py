"""Consumer groups: handlers that end as no handler should, and what stop() makes of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from faults import Python, soon
from group_samples import AT_ONCE, Seen, serving, until
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, RecordedEvent, Service
from eventstore.groups import Backoff, ConsumerGroup
from eventstore.groups.service.service import GroupOptions

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


class OddError(BaseException):
    """No ``Exception``: as libraries raise that want to be caught by nobody."""


def cancel_oneself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def raise_oddly() -> None:
    raise OddError


async def cancel_and_wait() -> None:
    cancel_oneself()
    await asyncio.sleep(0)


async def cancel_and_return() -> None:
    cancel_oneself()


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (raise_oddly, "OddError"),
        (cancel_and_wait, "CancelledError"),
        (cancel_and_return, "CancelledError"),
    ],
)
async def test_however_a_handler_ends_only_its_run_is_set_aside(
    store: EventStore, end: Callable[[], object], kind: str
) -> None:
    await store.append("odd", notes(3))
    await store.append("other", notes(3))
    seen, tries = Seen(), Counter[str]()

    async def handle(event: RecordedEvent) -> None:
        if (event.run_id, event.version) == ("odd", 2):
            tries[event.run_id] += 1
            await end()  # type: ignore[misc]
        else:
            await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE, max_deliveries=3)
    await asyncio.wait_for(group.run_to_end(), 30)

    (parked,) = await group.parked()
    assert (parked.run_id, parked.failed_version, parked.failure.kind) == ("odd", 2, kind)
    assert tries == {"odd": 3}
    assert seen.by_run() == {"odd": [1], "other": [1, 2, 3]}


async def test_a_plain_function_that_exits_fails_and_ends_no_process(store: EventStore) -> None:
    await store.append("exits", notes(2))
    await store.append("other", notes(2))
    done: list[tuple[str, int]] = []

    def handle(event: RecordedEvent) -> None:
        if event.run_id == "exits":
            sys.exit("some library has had enough")
        done.append((event.run_id, event.version))

    group = ConsumerGroup(store, "g", handle, create=True, backoff=AT_ONCE, max_deliveries=2)
    await group.run_to_end()

    (parked,) = await group.parked()
    assert "SystemExit" in parked.failure.message
    assert done == [("other", 1), ("other", 2)]


EXITS = """
import asyncio, sys
from eventstore import EventStore
from eventstore.groups import ConsumerGroup

url, namespace = sys.argv[1:]

async def handle(event):
    if event.run_id == "exits":
        sys.exit(9)

async def main():
    async with EventStore.open(url, namespace=namespace) as store:
        group = ConsumerGroup(
            store, "g", handle, create=True, member="m", max_deliveries=3, concurrency=2
        )
        await group.run_to_end()

asyncio.run(main())
"""


async def test_a_handler_that_exits_its_process_in_good_order_is_counted_all_the_same(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    await store.append("exits", notes(2))
    await store.append("other", notes(2))

    codes: list[int] = []
    while not codes or (codes[-1] and len(codes) < 9):
        with Python(EXITS, server.url, namespace) as process:
            codes.append(process._process.wait(60))

    # a first death may have come before the handler began
    assert codes in ([9, 9, 9, 0], [9, 9, 9, 9, 0])
    (parked,) = await ConsumerGroup(store, "g", print).parked()
    assert (parked.run_id, parked.failure.kind) == ("exits", "ProcessDied")


async def test_a_handler_that_will_not_be_cancelled_is_given_nothing_more(
    store: EventStore,
) -> None:
    # given
    await store.append("run", notes(3))
    await store.append("other", notes(3))
    begun: list[tuple[str, int]] = []
    is_cancelled = asyncio.Event()

    async def handle(event: RecordedEvent) -> None:
        begun.append((event.run_id, event.version))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            is_cancelled.set()

    group = ConsumerGroup(store, "g", handle, create=True, drain_ms=0, concurrency=1, member="m")
    # when
    async with serving(group) as task:
        await until(lambda: begun, task)
        await group.stop()
    await is_cancelled.wait()
    # then
    await soon(lambda: not [t for t in asyncio.all_tasks() if t.get_name() == "runstore-g"])
    assert len(begun) == 1
    seen = Seen()
    await ConsumerGroup(store, "g", seen, member="m").run_to_end()
    assert seen.by_run()["run"][-1] == seen.by_run()["other"][-1] == 3


async def test_with_too_much_in_hand_to_finish_no_handler_is_cut_short_by_stop(
    store: EventStore,
) -> None:
    await store.append("run", notes(500))
    seen, cut_short = Seen(), list[RecordedEvent]()

    async def handle(event: RecordedEvent) -> None:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            cut_short.append(event)
            raise
        await seen(event)

    group = ConsumerGroup(store, "g", handle, create=True, member="m", drain_ms=4_000)
    async with serving(group) as task:
        await until(lambda: seen.events, task)
        await group.stop()

    assert not cut_short
    assert 1 < len(seen.events) < 500
    quick = ConsumerGroup(store, "g", seen, member="m")
    await quick.run_to_end()
    assert seen.by_run() == {"run": list(range(1, 501))}
    assert len(seen.events) == 500


@pytest.mark.parametrize("form", ["group", "service"])
async def test_a_partition_whose_plain_function_still_runs_is_not_handed_on(
    store: EventStore, server: AnyServer, form: str
) -> None:
    # given
    await store.append("run", noted())
    (event,) = await store.load("run")
    begun, may_end = threading.Event(), threading.Event()

    def handle(_: RecordedEvent) -> None:
        begun.set()
        may_end.wait(60)

    options: GroupOptions = {"create": True, "drain_ms": 0, "member": "m", "lease_ms": 60_000}
    if form == "group":
        group = ConsumerGroup(store, "g", handle, **options)
        stop, serve = group.stop, group.run()
    else:
        service = Service("g", **options)
        service.on()(handle)
        stop, serve = service.stop, service.run(store)
    # when it is told to stop, and cannot wait for the function
    task = asyncio.create_task(serve)
    try:
        await until(begun.is_set, task)
        stop()
        await task
        # then of all partitions only that one is kept from the others
        keys = store.operations.keys
        leases = [keys.lease(partition, "g") for partition in range(keys.partitions)]
        owners = [server.admin.hget(lease, "owner") for lease in leases]
        assert owners.pop(event.position.partition) == b"m"
        assert set(owners) == {b""}
    finally:
        may_end.set()


async def test_nothing_is_handled_between_two_calls_of_run_once(store: EventStore) -> None:
    await store.append("run", notes(1))
    tries = 0

    async def handle(_: RecordedEvent) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("fails")

    group = ConsumerGroup(store, "g", handle, create=True, backoff=Backoff(1, 1), max_deliveries=9)
    await group.run_once()
    once = tries
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, passed.set_result, None)
    await passed
    assert tries == once
    await store.append("other", noted())
    await group.run_once()
    assert tries > once
    await group.stop()
