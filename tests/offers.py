"""Which servers the tests run on: our own, one that is given, and Docker's."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from pathlib import Path

from faults import MissingError
from servers import OWN, AnyServer, GivenServer, Server

DOCKER_ANSWERS_WITHIN_S = 2
IMAGES = {
    "docker-redis": ("redis:8.2.1-alpine", "redis-server"),
    "docker-valkey": ("valkey/valkey:8.1.3-alpine", "valkey-server"),
}


def offered() -> list[str]:
    """Name the servers for the contract; Docker's only where its engine answers."""
    url = ["url"] if os.environ.get("RUNSTORE_TEST_URL") else []
    docker = [name for name in IMAGES if name in required() or _docker_answers()]
    return [*url, *OWN, *docker]


def required() -> set[str]:
    """Name what must not be skipped: ``RUNSTORE_REQUIRE_SERVERS=valkey,redis6,redis7``.

    ``shims``, ``sentinel`` and ``mount`` may be named there as well.
    """
    return set(filter(None, os.environ.get("RUNSTORE_REQUIRE_SERVERS", "").split(",")))


def start(name: str) -> AnyServer:
    """Start, or reach, one of the offered servers. Raises ``MissingError``."""
    if name == "url":
        return GivenServer(name, os.environ["RUNSTORE_TEST_URL"])
    if name in IMAGES:
        return _start_container(name)
    return Server(name).start()


@cache
def _docker_answers() -> bool:
    """Say whether a Docker engine is here; its client is imported only where one may be."""
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    try:
        client = import_module("docker").from_env(timeout=DOCKER_ANSWERS_WITHIN_S)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there is no engine to use
        return False


def _start_container(name: str) -> GivenServer:
    try:
        from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - late, as above
    except ImportError as error:
        raise MissingError("testcontainers is not installed") from error
    image, program = IMAGES[name]
    container = RedisContainer(image)
    container.with_command(f"{program} --appendonly yes --appendfsync always")
    try:
        container.start()
    except Exception as error:
        raise MissingError(f"Docker could not start {image}: {error}") from error
    where = f"{container.get_container_host_ip()}:{container.get_exposed_port(container.port)}"
    return GivenServer(name, f"redis://{where}", container.stop)
