"""The server that is measured: one of our own on a free port, or one that runs already."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from eventstore.server.binary import find_binary
from eventstore.server.launch import server_environment

READY_WITHIN_S = 10.0
STOPS_WITHIN_S = 10.0
OPTIONS = {
    "bind": "127.0.0.1",
    "loglevel": "warning",
    # As the embedded server keeps its data: what is written twice goes to the disk twice. But a
    # rewrite of the file would slow down whoever has his turn.
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "auto-aof-rewrite-percentage": "0",
}
PROGRAMS = {"redis7": "redis-server"}


@contextmanager
def serving(name: str, processors: str = "apart") -> Iterator[str]:
    """Give the URL of a server: ``valkey``, ``redis7``, or a URL, which is left as it is.

    ``processors`` is ``apart``, or ``free`` to let the kernel decide where everything runs.
    """
    if "://" in name:
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="runstore-bench-") as folder:
        options = {**OPTIONS, "port": str(_free_port()), "dir": folder}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        process = subprocess.Popen(
            [_program(name), *words], stdout=subprocess.DEVNULL, env=server_environment()
        )
        if processors == "apart":
            _keep_apart(process.pid)
        try:
            yield _when_ready(process, f"redis://127.0.0.1:{options['port']}")
        finally:
            process.terminate()
            process.wait(STOPS_WITHIN_S)


def _keep_apart(server: int) -> None:
    """Give the server a processor of its own, as on a machine that is not busy.

    Where there are two, the kernel likes to wake a server on the processor of the client that
    wrote to it, for seconds on end; then neither works while the other does.
    """
    if hasattr(os, "sched_setaffinity"):
        first, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(server, set(others))
            os.sched_setaffinity(0, {first})


def busy_of(client: redis.Redis) -> Callable[[], float]:
    """Give what tells the processor time, in seconds, that a server has used so far."""

    def busy_s() -> float:
        info = client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    return busy_s


def _program(name: str) -> str:
    if name == "valkey":
        return str(find_binary().path)
    found = shutil.which(PROGRAMS.get(name, name))
    if found is None:
        raise SystemExit(f"no server {name!r} here; give valkey, redis7 or a URL")
    return found


def _when_ready(process: subprocess.Popen[bytes], url: str) -> str:
    deadline_s = time.monotonic() + READY_WITHIN_S
    with redis.Redis.from_url(url, retry=None) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise SystemExit("the server did not start") from None
                time.sleep(0.01)
            else:
                return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
