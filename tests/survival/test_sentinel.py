"""Sentinel: the store asks who the primary is, and goes on after a failover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
import redis
from conftest import Launch, Opener
from consistency import assert_consistent
from faults import eventually, soon
from samples import noted, notes
from servers import Server

from eventstore import Settings, StoreUnavailable

SERVICE = "main"


class Sentinel(Server):
    """The watcher of one primary and its replicas: the server program in another mode."""

    def watch(self, primary: Server) -> Self:
        """Start it, with a failover after half a second of silence."""
        self.options = {
            f"sentinel monitor {SERVICE} 127.0.0.1": f"{primary.port} 1",
            f"sentinel down-after-milliseconds {SERVICE}": "500",
            f"sentinel failover-timeout {SERVICE}": "3000",
        }
        return self.start()

    def _configure(self) -> Path:
        configuration = self.folder / "conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}"]
        lines += [f"{name} {value}" for name, value in self.options.items()]
        configuration.write_text("\n".join(lines) + "\nsentinel resolve-hostnames no\n")
        return configuration

    def _command(self) -> list[str]:
        return [*super()._command(), "--sentinel"]

    @property
    def primary_port(self) -> int:
        """Where the primary is now."""
        return int(self.admin.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def fail_over(self) -> bool:
        """Begin a failover; False while it finds no replica fit for it."""
        with suppress(redis.ResponseError):
            return bool(self.admin.execute_command("SENTINEL", "FAILOVER", SERVICE))
        return False

    @property
    def replicas(self) -> int:
        """How many healthy replicas it knows."""
        told = self.admin.execute_command("SENTINEL", "REPLICAS", SERVICE)
        return sum(b"down" not in _facts(each)[b"flags"] for each in told)


def _facts(reply: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


@pytest.fixture(params=["valkey", "redis7"])
def roles(
    request: pytest.FixtureRequest, launch: Launch
) -> Iterator[tuple[Server, Server, Sentinel]]:
    """Give a primary, its replica, and the sentinel that watches them."""
    primary = launch(request.param, tcp=True)
    options = {"replicaof": f"127.0.0.1 {primary.port}"}
    replica = launch(request.param, tcp=True, options=options)
    eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up", 20)
    sentinel = Sentinel(request.param, tcp=True)
    try:
        sentinel.watch(primary)
        eventually(lambda: sentinel.replicas == 1, 20)
        yield primary, replica, sentinel
    finally:
        sentinel.close()


def url_of(sentinel: Sentinel, service: str = SERVICE) -> str:
    return f"redis+sentinel://127.0.0.1:{sentinel.port}/{service}"


async def test_appends_go_on_after_the_primary_died(
    open_any: Opener, roles: tuple[Server, Server, Sentinel], namespace: str
) -> None:
    primary, replica, sentinel = roles
    url = url_of(sentinel)
    async with open_any(url, namespace=namespace, durability="replicas:1") as store:
        safe = await store.append("run", notes(3), idempotency_key="k")

    async with open_any(url, namespace=namespace) as store:
        assert len(await store.load("run")) == 3
        primary.kill()

        result = await store.append("run", noted("after the failover"), expected=3)

        assert result.last_version == 4
        again = await store.append("run", notes(3), idempotency_key="k")
        assert (again.positions, again.deduplicated) == (safe.positions, True)
    assert len(assert_consistent(replica, namespace)["run"]) == 4
    assert sentinel.primary_port == replica.port


async def test_appends_go_on_after_the_primary_became_a_replica(
    open_any: Opener, roles: tuple[Server, Server, Sentinel], namespace: str
) -> None:
    primary, replica, sentinel = roles
    url = url_of(sentinel)
    async with open_any(url, namespace=namespace, durability="replicas:1") as store:
        await store.append("run", notes(3))
    async with open_any(url, namespace=namespace) as store:
        assert len(await store.load("run")) == 3
        await soon(sentinel.fail_over)
        await soon(lambda: sentinel.primary_port == replica.port, 20)
        primary.admin.execute_command("REPLICAOF", "127.0.0.1", replica.port)

        assert (await store.append("run", noted(), expected=3)).last_version == 4
        assert len(await store.load("run")) == 4
    assert len(assert_consistent(replica, namespace)["run"]) == 4


async def test_a_service_that_no_sentinel_knows_is_an_error_within_the_deadline(
    open_any: Opener, roles: tuple[Server, Server, Sentinel]
) -> None:
    began = time.monotonic()

    with pytest.raises(StoreUnavailable):
        async with open_any(url_of(roles[2], "other"), settings=Settings(append_timeout_ms=300)):
            pass

    assert time.monotonic() - began < 3
