"""The server loses what it had acknowledged, under running groups and followers: told loudly."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from archive.filing import archived
from conftest import Launch
from driven_clock import DrivenClock
from faults import soon
from group_samples import SOON_MS, Seen, fill, pending, serving, until
from samples import contents, go_back, noted, notes
from servers import OWN, Server

from eventstore import EventStore, LogRegressed, Settings, StoreMismatch, SyncEventStore
from eventstore.archive import Archive
from eventstore.archive.recovery import accept, put_back
from eventstore.groups import ConsumerGroup, Groups
from eventstore.retention import Trimmer

PATIENT = Settings(append_timeout_ms=30_000)


def _with_older_copy(server: Server, change: Callable[[], None]) -> None:
    """Kill the server and start it on a copy of its data made before ``change``, 20 s behind."""
    server.kill()
    copy = server.folder / "copy"
    shutil.copytree(server.data, copy)
    server.start()
    change()
    server.kill()
    shutil.rmtree(server.data)
    shutil.move(copy, server.data)
    server.environment["SKEW_MS"] = "-20000"
    server.start()


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("more", [0, 1, 30])
async def test_an_older_copy_under_a_running_group_and_a_follower_is_told_and_nothing_is_skipped(
    launch: Launch, shim: Callable[[str], Path], name: str, more: int
) -> None:
    """``more`` new events come before the group looks again: fewer, as many, or more than lost."""
    server = launch(name, preload=shim("slowclock"), environment={"SKEW_MS": "0"})
    async with EventStore.open(server.url, settings=PATIENT, partitions=2) as store:
        # given a group and a follower that are past what an older copy holds
        await fill(store, runs=10, each=2)
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, create=True, lease_ms=SOON_MS)
        await group.run_once()
        await until_at_end(group)
        handled = len(seen.places)
        loop = asyncio.get_running_loop()

        def change() -> None:
            call = partial(asyncio.run_coroutine_threadsafe, loop=loop)
            call(store.append("lost", notes(5))).result(30)
            while call(group.run_once()).result(30):
                pass

        await asyncio.to_thread(_with_older_copy, server, change)
        assert len(seen.places) == handled + 5
        for number in range(more):
            await store.append(f"new-{number}", noted())
        # when it goes on, then it is told: no silent skip, no silent start from zero
        with pytest.raises(LogRegressed):
            await asyncio.wait_for(group.run(), timeout=30)
        regressed = store.operations.keys.partition_of("lost")
        after = seen.events[handled + 5 :]
        assert all(event.position.partition != regressed for event in after)
        # what the group makes of it is somebody's decision
        await Groups(store).reset("g", "beginning", by="the test", force=True)
        again = Seen()
        await ConsumerGroup(store, "g", again, lease_ms=SOON_MS).run_to_end()
        assert len(again.places) == 20 + more


@pytest.mark.parametrize("is_held", [True, False], ids=["lease held", "lease lost"])
async def test_another_event_in_the_very_place_of_a_lost_one_is_told(
    launch: Launch, shim: Callable[[str], Path], tmp_path: Path, is_held: bool
) -> None:
    """While a new primary's clock is behind, its log stays in the millisecond that came last."""
    clock = DrivenClock(tmp_path / "clock", datetime(2026, 3, 1, tzinfo=UTC))
    server = launch("valkey", preload=shim("drivenclock"), environment=clock.environment)
    async with EventStore.open(server.url, partitions=1) as store:
        # given a group that handled an event of the same millisecond as the one before
        await store.append("run", noted())
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, create=True, lease_ms=SOON_MS)
        await until_at_end(group)
        copy = contents(server, "runs")
        lost = await store.append("run", noted("lost"))
        await until_at_end(group)
        # when that one is lost, and another takes its place
        go_back(server, "runs", copy)
        new = await store.append("run", noted("new"))
        assert new.positions == lost.positions
        if not is_held:
            server.admin.hset(store.operations.keys.lease(0, "g"), "owner", "")
        # then it is not taken for the one that was handled
        with pytest.raises(LogRegressed, match="another event in its place"):
            await asyncio.wait_for(group.run(), timeout=30)
    assert [event.data["text"] for event in seen.events] == ["", "lost"]


@pytest.mark.parametrize("more", [0, 7])
async def test_a_service_that_starts_on_an_emptied_server_does_not_begin_anew(
    launch: Launch, tmp_path: Path, more: int
) -> None:
    """Neither before nor after what was archived is put back: how far it was is somebody's word."""
    server = launch("valkey")
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, partitions=2) as store:
        store.append("run", notes(5))
        archived(store, path)
    # given an emptied server, which others may have gone on with
    server.admin.flushall()
    async with EventStore.open(server.url, partitions=2, archive=path) as store:
        for _ in range(more):
            await store.append("run", noted())
        for start in ("beginning", "end"):
            for create in (False, True):
                group = ConsumerGroup(store, "g", Seen(), start=start, create=create)
                with pytest.raises(StoreMismatch, match="put-back"):
                    await group.run_to_end()
        assert await Groups(store).list() == ()
    # when what was lost is put back, where its places are free
    with Archive.look(path, read_only=False) as archive:
        with SyncEventStore.open(server.url, partitions=2) as store:
            assert put_back(archive, store, new_store=True).events == (0 if more else 5)
        if more:
            with SyncEventStore.open(server.url, partitions=2) as store:
                accept(archive, store, "others went on")
    # then a group begins where somebody says
    async with EventStore.open(server.url, partitions=2, archive=path) as store:
        seen = Seen()
        service = ConsumerGroup(store, "g", seen, create=True)
        with pytest.raises(StoreMismatch, match="groups create g"):
            await service.run_to_end()
        await Groups(store).create("g", "end")
        await store.append("other", noted())
        await service.run_to_end()
        assert [run_id for run_id, _ in seen.places] == ["other"]


@pytest.mark.parametrize("more", [0, 1, 20])
async def test_a_group_that_catches_up_from_the_archive_is_told_when_an_older_copy_comes(
    launch: Launch, tmp_path: Path, more: int
) -> None:
    # given a group in the midst of the archive, past what an older copy holds
    server = launch("valkey")
    path = tmp_path / "a.db"
    async with EventStore.open(server.url, partitions=1, archive=path) as store:
        await Groups(store).create("g")
        await store.append("run", notes(4))
        copy = contents(server, "runs")
        for _ in range(10):
            await store.append("run", noted())
        await asyncio.to_thread(_archive_and_trim, server.url, path)
        seen = Seen()
        group = ConsumerGroup(store, "g", seen, batch_events=3, lease_ms=SOON_MS)
        while len(seen.events) < 8:
            await group.run_once()
        handled = len(seen.events)
        assert handled < 14
        # when that copy is put back, and gone on with
        go_back(server, "runs", copy)
        for _ in range(more):
            await store.append("run", noted("new"))
        # then it neither takes what is new for what comes next nor what is lost for what is there
        with pytest.raises(LogRegressed):
            await asyncio.wait_for(group.run(), timeout=30)
    assert len(seen.events) == handled


def _archive_and_trim(url: str, path: Path) -> None:
    with SyncEventStore.open(url, partitions=1, archive=path) as store:
        archived(store, path)
        assert Trimmer(store, group_grace_ms=1).run_once().trimmed > 4


@pytest.mark.parametrize("more", [0, 6])
async def test_every_member_is_told_of_a_loss_that_is_archived(
    launch: Launch, tmp_path: Path, more: int
) -> None:
    """One that never held the partition takes it over from the one that left because of it."""
    server = launch("valkey")
    path = tmp_path / "a.db"
    async with EventStore.open(server.url, partitions=2, archive=path) as store:
        # given two members at work, with a partition each
        await fill(store, runs=10, each=2)
        seen = Seen()
        members = [
            ConsumerGroup(store, "g", seen, create=True, member=f"m{n}", lease_ms=SOON_MS)
            for n in range(2)
        ]
        tasks = [asyncio.create_task(member.run()) for member in members]
        owners = partial(_owners, store, server)
        await until(lambda: owners() == {b"m0", b"m1"} and len(seen.events) == 20, tasks[0])
        copy = contents(server, "runs")
        await store.append("lost", notes(5))
        await until(lambda: len(seen.events) == 25, tasks[0])
        await asyncio.to_thread(_archive, server.url, path)
        # when the server goes back under them, and others go on with it
        go_back(server, "runs", copy)
        for _ in range(more):
            await store.append("lost", noted("new"))
        # then each of them says so
        for task in tasks:
            with pytest.raises(LogRegressed):
                await asyncio.wait_for(task, timeout=30)


def _owners(store: EventStore, server: Server) -> set[bytes]:
    return {server.admin.hget(store.operations.keys.lease(p, "g"), "owner") for p in range(2)}


def _archive(url: str, path: Path) -> None:
    with SyncEventStore.open(url, partitions=2) as store:
        archived(store, path)


@pytest.mark.parametrize("more", [0, 1, 9])
async def test_a_service_that_starts_on_an_older_copy_is_told(
    launch: Launch, tmp_path: Path, more: int
) -> None:
    """Its progress went back with the log: only the archive can tell."""
    server = launch("valkey")
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, partitions=2) as store:
        store.append("run", notes(3))
        async with EventStore.open(server.url, partitions=2) as other:
            await ConsumerGroup(other, "g", Seen(), create=True).run_to_end()
        copy = contents(server, "runs")
        store.append("run", notes(5))
        archived(store, path)
        go_back(server, "runs", copy)
        for _ in range(more):
            store.append("run", noted("new"))
    async with EventStore.open(server.url, partitions=2, archive=path) as store:
        seen = Seen()
        with pytest.raises(LogRegressed, match="archive put-back"):
            await ConsumerGroup(store, "g", seen).run_to_end()
        assert seen.events == []
        # and once it is put right, it goes on where it was
        with (
            SyncEventStore.open(server.url, partitions=2) as blocking,
            Archive.look(path, read_only=False) as archive,
        ):
            if more:
                accept(archive, blocking, "others went on")
            else:
                put_back(archive, blocking)
        await ConsumerGroup(store, "g", seen).run_to_end()
        assert [version for _, version in seen.places] == list(range(4, 4 + (more or 5)))


async def until_at_end(group: ConsumerGroup) -> None:
    """Handle what there is, and stay."""
    while await group.run_once():
        pass


@pytest.mark.parametrize("server_name", OWN)
async def test_without_memory_a_group_goes_on_and_keeps_its_leases(
    launch: Launch, server_name: str
) -> None:
    # given a group, and a server whose memory is full
    server = launch(server_name, options={"maxmemory-policy": "noeviction"})
    async with EventStore.open(server.url) as store:
        expected = await fill(store, runs=30)
        gate, seen = asyncio.Event(), Seen()

        async def handle(event: object) -> None:
            await gate.wait()
            await seen(event)  # type: ignore[arg-type]

        group = ConsumerGroup(store, "g", handle, create=True, member="m", lease_ms=SOON_MS)
        async with serving(group) as task:
            lease = store.operations.keys.lease(0, "g")
            await until(lambda: server.admin.hget(lease, "owner") == b"m", task)
            await until(lambda: pending(store, server.admin, "g") > 0, task)
            server.admin.config_set("maxmemory", 1)
            before = server.admin.hget(lease, "until")
            # when time goes on
            await until(lambda: server.admin.hget(lease, "until") > before, task)
            gate.set()
            await until(partial(seen.reached, 150), task)
            # then everything is handled, acknowledged, and still its own
            await until(lambda: pending(store, server.admin, "g") == 0, task)
            assert server.admin.hget(lease, "owner") == b"m"
            server.admin.config_set("maxmemory", 0)
    assert seen.by_run() == expected
    assert len(seen.places) == 150


@pytest.mark.parametrize("name", OWN)
async def test_a_server_put_to_sleep_past_the_leases_costs_no_order(
    launch: Launch, name: str
) -> None:
    server = launch(name)
    async with EventStore.open(server.url, settings=PATIENT) as store:
        seen = Seen()
        expected = await fill(store, runs=30, each=10)
        members = [
            ConsumerGroup(store, "g", seen, create=True, member=f"m{n}", lease_ms=SOON_MS)
            for n in range(2)
        ]
        async with serving(members[0]) as first, serving(members[1]):
            await until(partial(seen.reached, 50), first)
            server.pause()
            threading.Timer(3 * SOON_MS / 1000, server.resume).start()
            await until(partial(seen.reached, 300), first)
            await soon(lambda: pending(store, server.admin, "g") == 0)
    assert seen.by_run() == expected
