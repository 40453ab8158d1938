"""A proxy between clients and a server that loses calls and replies on purpose."""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536


class Fault(Enum):
    """What a proxy does to one call."""

    NONE = auto()
    LOSE_REPLY = auto()
    """The server does the call; its reply is thrown away and the connection cut."""
    TEAR_REPLY = auto()
    """As before, but half of the reply still arrives."""
    SILENCE = auto()
    """The server does the call; its reply is thrown away and the connection stays open."""
    LOSE_CALL = auto()
    """The connection is cut before the server sees the call."""
    TEAR_CALL = auto()
    """The server sees half of the call, then the connection is cut."""


CALL_FAULTS = (Fault.LOSE_CALL, Fault.TEAR_CALL)
REPLY_FAULTS = (Fault.LOSE_REPLY, Fault.TEAR_REPLY, Fault.SILENCE)


class Proxy:
    """Stands between clients and a server, and does to appends what it is told.

    ``on_append`` gets the number of each call that appends, from 1, and says what becomes of it.
    ``in_between`` runs when a call or its reply was lost, before the client can learn that:
    whatever others do in that moment. Use it in a ``with`` statement.
    """

    def __init__(self, upstream_url: str) -> None:
        self._upstream = urlsplit(upstream_url)
        self._folder = Path(tempfile.mkdtemp(prefix="proxy-"))
        self.url = f"unix://{self._folder}/s"
        self.on_append: Callable[[int], Fault] = lambda _: Fault.NONE
        self.in_between: Callable[[], object] = lambda: None
        self.appends = 0
        self.faults = 0
        self.failures: list[Exception] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder}/s")
        self._listener.listen()

    def lose(self, fault: Fault, numbers: Iterable[int]) -> None:
        """Let the appends of these numbers, from now on, suffer a fault."""
        chosen = {self.appends + number for number in numbers}
        self.on_append = lambda number: fault if number in chosen else Fault.NONE

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join(timeout=10)
        shutil.rmtree(self._folder)
        assert not self.failures, self.failures

    def cut(self) -> None:
        """Cut every connection; new ones are taken."""
        with self._lock:
            for each in self._open:
                _shut(each)

    def close(self) -> None:
        """Cut every connection and take no more."""
        _shut(self._listener)
        self._listener.close()
        self.cut()

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was shut down
            while True:
                client, _ = self._listener.accept()
                self._spawn(self._serve, client)

    def _dial(self) -> socket.socket:
        if self._upstream.scheme == "unix":
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self._upstream.path)
            return upstream
        return socket.create_connection((self._upstream.hostname or "", self._upstream.port or 0))

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, self._dial() as upstream:
            with self._lock:
                self._open |= {client, upstream}
            try:
                _Exchange(self, client, upstream).relay()
            except OSError:
                pass
            except Exception as error:  # noqa: BLE001 - shown at the end of the test
                self.failures.append(error)
            finally:
                with self._lock:
                    self._open -= {client, upstream}

    def judge(self) -> Fault:
        """Count one append and say what becomes of it."""
        with self._lock:
            self.appends += 1
            fault = self.on_append(self.appends)
            self.faults += fault is not Fault.NONE
            return fault


def _shut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


class _Exchange:
    """One connection through the proxy. Clients send calls, then read all their replies."""

    def __init__(self, proxy: Proxy, client: socket.socket, upstream: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._upstream = upstream
        self._fault = Fault.NONE

    def relay(self) -> None:
        """Carry bytes both ways until one side ends or a fault cuts the connection."""
        while True:
            ready, _, _ = select.select([self._client, self._upstream], [], [])
            if self._client in ready and not self._carry_call():
                return
            if self._upstream in ready and not self._carry_reply():
                return

    def _carry_call(self) -> bool:
        call = self._client.recv(CHUNK_BYTES)
        if b"EVALSHA" in call and b"}:log\r\n" in call and b"}:due\r\n" in call:
            self._fault = self._proxy.judge()
        if self._fault is Fault.TEAR_CALL:
            self._upstream.sendall(call[: len(call) // 2])
        if self._fault in CALL_FAULTS:
            self._proxy.in_between()
            return False
        if not call:
            return False
        self._upstream.sendall(call)
        return True

    def _carry_reply(self) -> bool:
        reply = self._upstream.recv(CHUNK_BYTES)
        if not reply:
            return False
        if self._fault not in REPLY_FAULTS:
            self._client.sendall(reply)
            return True
        self._finish_upstream()
        self._proxy.in_between()
        if self._fault is Fault.TEAR_REPLY:
            self._client.sendall(reply[: len(reply) // 2])
        if self._fault is Fault.SILENCE:
            while self._client.recv(CHUNK_BYTES):
                pass
        return False

    def _finish_upstream(self) -> None:
        """Wait until the server has done all that it was sent."""
        self._upstream.shutdown(socket.SHUT_WR)
        while self._upstream.recv(CHUNK_BYTES):
            pass
