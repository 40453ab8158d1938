"""A server that lost pauses with their timers has nothing due: told, not waited upon for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive.filing import archived
from faults import soon
from samples import contents, go_back, noted, paused
from servers import AnyServer, Server

from eventstore import EventStore, LogRegressed, StoreMismatch, SyncEventStore
from eventstore.archive import Archive
from eventstore.archive.recovery import put_back
from replay import Reconciler, Restorer, SyncReconciler, SyncRestorer

SERVICES: list[Callable[[Any, Any], Any]] = [Restorer, Reconciler]
BLOCKING: list[Callable[[Any, Any], Any]] = [SyncRestorer, SyncReconciler]


def ignore(_: object) -> None:
    """Take a run, and do nothing with it."""


@pytest.mark.parametrize("service", SERVICES)
async def test_an_emptied_server_is_told_to_a_service_that_runs(
    own_server: Server, service: Callable[[Any, Any], Any]
) -> None:
    async with EventStore.open(own_server.url) as store:
        await store.append("run", paused("p", 3_600_000))
        sweeping = asyncio.create_task(service(store, ignore).run())
        seen = own_server.admin.info("commandstats")["cmdstat_time"]["calls"]
        await soon(
            lambda: own_server.admin.info("commandstats")["cmdstat_time"]["calls"] > seen + 1
        )
        own_server.admin.flushall()
        # also where another process made the namespace anew
        async with EventStore.open(own_server.url):
            with pytest.raises(LogRegressed, match="archive put-back"):
                await asyncio.wait_for(sweeping, timeout=30)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("service", BLOCKING)
def test_what_an_older_copy_lacks_of_the_archive_is_told_and_comes_back(
    server: AnyServer, namespace: str, tmp_path: Path, service: Callable[[Any, Any], Any]
) -> None:
    # given a pause that a server lost with its timer
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace, archive=path) as store:
        store.append("run", noted())
        copy = contents(server, namespace)
        store.append("run", paused("p", 0))
        archived(store, path)
        go_back(server, namespace, copy)
        # when nothing is due, then that is no good news
        with pytest.raises(LogRegressed, match="archive put-back"):
            service(store, ignore).run_once()
        # and what is put back takes its effect
        with Archive.look(path, read_only=False) as archive:
            assert put_back(archive, store).events == 1
        counts = service(store, ignore).run_once()
        assert (counts.scanned == 1) is (service is SyncRestorer)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_service_that_starts_on_an_emptied_server_is_told(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace) as store:
        store.append("run", paused("p", 0))
        archived(store, path)
    server.forget(namespace)
    with (
        SyncEventStore.open(server.url, namespace=namespace, archive=path) as store,
        pytest.raises(StoreMismatch, match="put-back"),
    ):
        SyncRestorer(store, ignore).run_once()
