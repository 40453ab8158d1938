"""Opening a store: the server must be fit, reachable and the one expected."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Opener
from samples import noted
from servers import AnyServer, Server, free_port

from eventstore import (
    EventStore,
    InvalidArgument,
    RunStoreError,
    ServerRefused,
    Settings,
    StoreMismatch,
    StoreUnavailable,
    SyncEventStore,
)
from eventstore.transport.requirements import check_server

HASTY = Settings(append_timeout_ms=200, connect_timeout_ms=200, reply_timeout_ms=200)
ONE = pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
SECRETS = ["s3cr3t-pass", "s3cr3t%2Fp", "s3?cr3t", "s3#cr3t", "s3@cr3t"]


@pytest.mark.parametrize(
    ("info", "shown"),
    [
        ({"redis_version": "6.0.16"}, "6.0.16"),
        ({"redis_version": "5.0.7"}, "5.0.7"),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.9"}, "7.1.9"),
        ({"redis_version": "4.0"}, "4.0"),
        ({}, "Redis 0"),
    ],
)
def test_a_server_that_is_too_old_is_refused(info: dict[str, str], shown: str) -> None:
    with pytest.raises(ServerRefused, match=re.escape(shown)) as caught:
        check_server(info, allow_eviction=True)

    assert "upgrade" in str(caught.value)


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "6.2.0"},
        {"redis_version": "7.0.15"},
        {"redis_version": "8.2.1"},
        {"redis_version": "10.0.0"},
        {"redis_version": "7.2.4", "valkey_version": "7.2.5"},
        {"redis_version": "7.2.4", "valkey_version": "9.1.2"},
        {"redis_version": "7.0.0-rc1", "maxmemory_policy": "noeviction"},
    ],
)
def test_a_server_that_is_new_enough_is_taken(info: dict[str, str]) -> None:
    check_server(info, allow_eviction=False)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_policy_that_may_drop_history_is_refused_unless_allowed(policy: str) -> None:
    info = {"redis_version": "7.0.15", "maxmemory_policy": policy}

    with pytest.raises(ServerRefused, match="maxmemory-policy noeviction"):
        check_server(info, allow_eviction=False)
    check_server(info, allow_eviction=True)


def test_a_cluster_node_is_refused() -> None:
    with pytest.raises(ServerRefused, match="Cluster"):
        check_server({"redis_version": "7.0.15", "cluster_enabled": "1"}, allow_eviction=False)


async def test_an_evicting_server_is_refused_on_opening(
    open_any: Opener, own_server: Server
) -> None:
    own_server.admin.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(ServerRefused, match="allkeys-lru"):
        async with open_any(own_server.url):
            pass
    assert own_server.admin.dbsize() == 0
    async with open_any(own_server.url, allow_eviction=True) as store:
        await store.append("run", noted())


async def test_another_number_of_partitions_is_refused(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    with pytest.raises(StoreMismatch, match="partitions=16") as caught:
        async with open_any(server.url, namespace=namespace, partitions=8):
            pass

    assert vars(caught.value) == {"namespace": namespace, "expected": 8, "actual": 16}


async def test_a_namespace_can_be_taken_as_it_is(
    open_any: Opener, server: AnyServer, namespace: str
) -> None:
    async with open_any(server.url, namespace=namespace, partitions=3) as store:
        await store.append("run", noted())
        identity = store.identity

    async with open_any(server.url, namespace=namespace, partitions=None) as store:
        assert len(await store.tails()) == 3
        assert store.identity == identity
        assert (await store.head("run")).version == 1


async def test_a_layout_of_another_version_is_refused(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    server.admin.hset(f"{namespace}:meta", "layout", 2)

    with pytest.raises(StoreMismatch, match="layout 2"):
        async with open_any(server.url, namespace=namespace):
            pass


@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_no_server_is_an_error_within_the_deadline(
    open_any: Opener, tmp_path: Path, where: str
) -> None:
    url = f"redis://127.0.0.1:{free_port()}" if where == "tcp" else f"unix://{tmp_path}/none"
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match="is it running") as caught:
        async with open_any(url, settings=HASTY):
            pass

    assert url in str(caught.value)
    assert time.monotonic() - began < 3


@ONE
async def test_a_server_that_does_not_answer_is_an_error_within_the_deadline(
    open_any: Opener, own_server: Server
) -> None:
    own_server.pause()
    began = time.monotonic()

    with pytest.raises(StoreUnavailable):
        async with open_any(own_server.url, settings=HASTY):
            pass

    assert time.monotonic() - began < 3


@pytest.mark.parametrize("secret", SECRETS)
async def test_a_wrong_password_is_told_and_never_shown(
    open_any: Opener,
    launch: Callable[..., Server],
    secret: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = launch("valkey", tcp=True, options={"requirepass": "right"})
    caplog.set_level(logging.DEBUG)
    for user in ("", "somebody"):
        url = f"redis://{user}:{secret}@127.0.0.1:{server.port}"

        with pytest.raises(RunStoreError) as caught:
            async with open_any(url, settings=HASTY):
                pass

        assert isinstance(caught.value, (ServerRefused, InvalidArgument))
        shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caplog.text}"
        assert not [part for part in re.split(r"[?#@%]", secret) if part in shown]


async def test_a_missing_password_is_told(open_any: Opener, launch: Callable[..., Server]) -> None:
    server = launch("valkey", tcp=True, options={"requirepass": "right"})

    with pytest.raises(ServerRefused, match="password"):
        async with open_any(f"redis://127.0.0.1:{server.port}"):
            pass


async def test_the_right_password_opens_and_is_shown_nowhere(
    open_any: Opener, launch: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = launch("valkey", options={"requirepass": "s3cr3t"})
    caplog.set_level(logging.DEBUG)

    async with open_any(server.url, settings=HASTY) as store:
        await store.append("run", noted())
        shown = [str(store), repr(store), repr(store.opening), str(store.opening), store.shown_url]
        server.kill()
        with pytest.raises(RunStoreError) as caught:
            await store.append("run", noted())

    shown += [str(caught.value), repr(vars(caught.value)), caplog.text]
    assert not [text for text in shown if "s3cr3t" in text]


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:s3cr3t@localhost:1/0",
        "rediss://:s3cr3t@localhost:1",
        "redis://localhost:1/?password=s3cr3t",
        "redis+sentinel://user:s3cr3t@localhost:1/main",
        "unix://:s3cr3t@/nowhere",
        "redis://user:s3cr3t@localhost:port",
        "http://user:s3cr3t@localhost",
    ],
)
async def test_no_kind_of_url_shows_its_password(open_any: Opener, url: str) -> None:
    began = time.monotonic()
    with pytest.raises(RunStoreError) as caught:
        async with open_any(url, settings=HASTY):
            pass

    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t" not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__
    assert time.monotonic() - began < 3


async def test_a_user_without_rights_is_told_what_is_missing(
    open_any: Opener, own_server: Server
) -> None:
    own_server.admin.acl_setuser(
        "limited", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+info"]
    )
    url = own_server.url.replace("unix://", "unix://limited:pw@")

    with pytest.raises(ServerRefused, match="ACL") as caught:
        async with open_any(url):
            pass

    assert "pw@" not in str(caught.value)


async def test_a_store_can_be_opened_again_after_it_was_closed(
    server: AnyServer, namespace: str
) -> None:
    store = EventStore.open(server.url, namespace=namespace)
    for version in (1, 2):
        async with store:
            assert (await store.append("run", noted())).last_version == version
    with SyncEventStore.open(server.url, namespace=namespace) as blocking:
        assert blocking.head("run").version == 2


async def test_an_open_store_cannot_be_opened_twice(store: EventStore) -> None:
    with pytest.raises(InvalidArgument, match="open already"):
        await store.start()


async def test_closing_sends_what_waits_and_refuses_what_has_no_room(
    server: AnyServer, namespace: str
) -> None:
    settings = Settings(max_waiting_appends=2)
    store = await EventStore.open(server.url, namespace=namespace, settings=settings).start()
    tasks = [asyncio.create_task(store.append(f"run-{n}", noted())) for n in range(6)]
    await asyncio.sleep(0)

    await store.close()

    done, pending = await asyncio.wait(tasks, timeout=5)
    assert not pending
    for task in done:
        assert isinstance(task.exception(), InvalidArgument | None)
    written = [task for task in tasks if not task.exception()]
    assert len(written) >= 2


GOOD_SETTINGS = {"RUNSTORE_BLOCK_MS": "7", "RUNSTORE_PAGE_EVENTS": "9", "RUNSTORE_OTHER": "x"}


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(GOOD_SETTINGS)

    assert (settings.block_ms, settings.page_events) == (7, 9)
    assert settings.append_timeout_ms == Settings().append_timeout_ms


@pytest.mark.parametrize("value", ["", "fast", "1.5", "0", "-1", "1e3"])
def test_a_setting_from_the_environment_must_be_a_whole_number_above_zero(value: str) -> None:
    with pytest.raises(InvalidArgument, match=r"(?i)block_ms"):
        Settings.from_environment({"RUNSTORE_BLOCK_MS": value})


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", True, None])
@pytest.mark.parametrize("name", ["append_timeout_ms", "max_event_bytes", "max_connections"])
def test_a_setting_must_be_a_whole_number_above_zero(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=name):
        Settings(**{name: value})


async def test_the_url_may_come_from_the_environment(
    open_any: Opener, server: AnyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTORE_REDIS_URL", server.url)

    async with open_any(namespace=namespace) as store:
        await store.append("run", noted())

    assert server.keys(namespace)
