"""The server that is measured: one of our own on a free port, or one that runs already."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from eventstore.server.binary import find_binary

READY_WITHIN_S = 10.0
STOPS_WITHIN_S = 10.0
OPTIONS = (
    ("bind", "127.0.0.1"),
    ("save", ""),
    # As the embedded server is set up: every write goes to the file, twice if we write it twice.
    ("appendonly", "yes"),
    ("appendfsync", "everysec"),
)
PROGRAMS = {"redis7": "redis-server"}


@contextmanager
def serving(name: str) -> Iterator[str]:
    """Give the URL of a server: ``valkey``, ``redis7``, or a URL, which is left as it is."""
    if "://" in name:
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="runstore-bench-") as folder:
        port = _free_port()
        process = subprocess.Popen(_command(name, port, folder), stdout=subprocess.DEVNULL)
        try:
            yield _ready(process, f"redis://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(STOPS_WITHIN_S)


def _command(name: str, port: int, folder: str) -> Sequence[str]:
    settings = [*OPTIONS, ("port", str(port)), ("dir", folder)]
    return [_program(name), *(word for key, value in settings for word in (f"--{key}", value))]


def _program(name: str) -> str:
    if name == "valkey":
        return str(find_binary().path)
    found = shutil.which(PROGRAMS.get(name, name))
    if found is None:
        raise SystemExit(f"no server {name!r} here; give valkey, redis7 or a URL")
    return found


def _ready(process: subprocess.Popen[bytes], url: str) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    with redis.Redis.from_url(url, retry=None) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the server did not start") from None
                time.sleep(0.01)
            else:
                return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


