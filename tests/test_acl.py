"""The README's smallest ACL is enough for everything, and grants nothing beyond its namespace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from servers import OWN, Server

from eventstore import (
    ConsumerGroup,
    EventStore,
    NewEvent,
    RecordedEvent,
    ServerRefused,
    SyncEventStore,
)
from eventstore.archive import Archive, Archiver
from eventstore.retention import Trimmer, TrimReport
from replay import Restorer, RunControl
from replay.erasing.server_files import rewrite_server_files

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def acl_of_readme(name: str = "acl") -> list[str]:
    block = re.search(rf"<!-- {name} -->\n```\n(.*?)```", README, flags=re.DOTALL)
    assert block
    return block[1].split()


@pytest.fixture(params=OWN)
async def limited(
    request: pytest.FixtureRequest, launch: Callable[..., Server]
) -> AsyncIterator[EventStore]:
    server = launch(request.param, tcp=True)
    server.admin.execute_command(*acl_of_readme())
    url = server.url.replace("redis://", "redis://runstore:secret@")
    async with EventStore.open(url, namespace="runs") as store:
        yield store


async def test_the_acl_is_enough_for_a_store_a_group_and_a_restorer(limited: EventStore) -> None:
    # given a store opened by the limited user
    await limited.append("r", NewEvent("run.created"), idempotency_key="k")
    await RunControl(limited).pause("r", state={}, window=0, on_expiry="restore")
    # when everything that a service does is done
    counts = await Restorer(limited, lambda _context: None).run_once()
    seen: list[RecordedEvent] = []
    await ConsumerGroup(limited, "all", seen.append, create=True).run_to_end()
    await limited.append("r", NewEvent("run.completed"))
    await limited.wait("r", "run.completed", 5)
    # then nothing was refused
    assert counts.restored == 1
    assert [event.version for event in seen] == [1, 2, 3, 4, 5]
    assert len([event async for event in limited.read_all()]) == 6


async def test_the_acl_is_enough_for_signals(limited: EventStore) -> None:
    # given a run that waits, and one that watches
    control = RunControl(limited)
    for name in ("waits", "watches"):
        await limited.append(name, NewEvent("run.created"))
    waited = {"wait_for": [{"type": "paid"}], "wait_timeout": 60}
    await control.pause("waits", state={}, window=None, on_expiry="park", **waited)
    await control.watch("watches", "paid", watch_id="w")
    # when a signal comes for them
    delivery = await control.deliver("paid", 7, source_id="hook")
    # then nothing was refused
    assert {each.run_id: each.outcome for each in delivery.runs} == {
        "waits": "resumed",
        "watches": "buffered",
    }
    assert await control.unwatch("watches", "w")
    assert (await control.deliver("paid", 7, source_id="hook")).deduplicated


async def test_the_acl_is_enough_for_archive_and_retention(
    limited: EventStore, tmp_path: Path
) -> None:
    # given a run that ended
    await limited.append("r", [NewEvent("run.created"), NewEvent("run.completed")])
    await limited.report_reader("rows", await limited.tails())
    # when it is archived, and what may go is trimmed
    report = await asyncio.to_thread(archive_and_trim, limited.opening.url or "", tmp_path / "a")
    # then nothing was refused
    assert (report.trimmed, report.dropped_runs) == (1, 1)


def archive_and_trim(url: str, path: Path) -> TrimReport:
    with (
        SyncEventStore.open(url, archive=path) as store,
        Archive.open(
            path,
            identity=store.identity,
            namespace="runs",
            partitions=store.operations.keys.partitions,
        ) as archive,
        Archiver(store, archive) as archiver,
    ):
        archiver.run_to_end()
        return Trimmer(store).run_once()


@pytest.mark.parametrize("name", OWN)
def test_wiping_needs_the_second_line_for_the_servers_files(
    launch: Callable[..., Server], name: str
) -> None:
    # given a server with both kinds of files, and the limited user
    server = launch(name, tcp=True, options={"appendonly": "yes", "save": "3600 1"})
    server.admin.execute_command(*acl_of_readme())
    url = server.url.replace("redis://", "redis://runstore:secret@")
    with SyncEventStore.open(url, namespace="runs") as store:
        store.append("r", NewEvent("run.created"))
        # when they are to be written anew, then it takes the second line
        assert len(list(rewrite_server_files(store))) == 2
        server.admin.execute_command(*acl_of_readme("acl for wiping"))
        assert list(rewrite_server_files(store)) == []


async def test_the_acl_keeps_other_namespaces_out(limited: EventStore) -> None:
    # given the limited user
    url = limited.opening.url
    # when it opens another namespace
    with pytest.raises(ServerRefused) as refusal:
        await EventStore.open(url, namespace="other").start()
    # then the server says no, and the message tells why without the password
    assert "ACL" in str(refusal.value)
    assert "secret" not in str(refusal.value)
