"""Looking at the server of a folder without starting or changing anything.

A few words of the protocol are spoken here over a plain socket: a probe must know exactly how long
it waits, must not reconnect or retry behind our back, and should not cost the import of a client.
"""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from eventstore.errors import ServerRefused
from eventstore.server.binary import ServerBinary, describe_binary
from eventstore.server.home import ServerHome, usable
from eventstore.server.locks import is_locked

State = Literal["running", "loading", "busy", "silent", "unreachable", "stopped"]
"""``busy``: it answers that it cannot answer. ``silent``: it does not answer. ``unreachable``: it
lives, but nothing listens, not yet or no more."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known about the server of one folder, at one moment."""

    folder: Path
    state: State
    url: str
    log_path: Path
    pid: int | None = None
    """Told by the server; by its pid file when it does not answer."""
    binary: ServerBinary | None = None
    detail: str = ""

    @property
    def running(self) -> bool:
        """Whether it takes commands now."""
        return self.state == "running"


class Line:
    """One connection to a server. ``OSError`` is raised when it breaks or takes too long."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout_s or 0.001)
            self._socket.connect(str(path))
            self._replies: BinaryIO = self._socket.makefile("rb")
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._socket.close()

    def ask(self, command: str, timeout_s: float) -> str:
        """Send one command and give its reply; an error reply raises ``ServerRefused``."""
        self._socket.settimeout(timeout_s or 0.001)
        self._socket.sendall(command.encode() + b"\r\n")
        head = self._replies.readline().decode()
        if not head.endswith("\n"):
            raise ConnectionResetError("the server closed the connection")
        if head.startswith("-"):
            raise ServerRefused(f"the server answered {command}: {head[1:].strip()}")
        if head.startswith("$"):
            return self._replies.read(int(head[1:]) + 2).decode(errors="replace")
        return head[1:].strip()

    def info(self, timeout_s: float) -> dict[str, str]:
        """Give the server's facts by name."""
        lines = self.ask("INFO", timeout_s).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def status(folder: Path | str = ".runstore", *, timeout_ms: int = 1_000) -> ServerStatus | None:
    """Look at the embedded server of a folder; None when the folder never had one.

    Starts nothing and writes nothing. ``StoreUnavailable`` when the folder may not be read.
    """
    home = ServerHome.inside(folder)
    with usable(folder):
        return look(home, timeout_ms / 1000) if home.server_lock.exists() else None


def look(home: ServerHome, timeout_s: float) -> ServerStatus:
    """Ask the server behind the folder's socket how it is."""
    try:
        with closing(Line(home.socket, timeout_s)) as line:
            return _answering(home, line.info(timeout_s))
    except (TimeoutError, BlockingIOError):
        return _seen(home, "silent", "it does not answer")
    except ServerRefused as refusal:
        return _seen(home, "busy", str(refusal))
    except OSError as error:
        if is_locked(home.server_lock):
            return _seen(home, "unreachable", f"nothing listens at {home.socket} ({error})")
        return ServerStatus(home.path.parent, "stopped", home.url, home.log)


def _answering(home: ServerHome, info: dict[str, str]) -> ServerStatus:
    loading = info.get("loading", "0") != "0"
    percent = info.get("loading_loaded_perc", "?")
    executable = info.get("executable")
    return ServerStatus(
        folder=home.path.parent,
        state="loading" if loading else "running",
        url=home.url,
        log_path=home.log,
        pid=int(info["process_id"]),
        binary=describe_binary(Path(executable)) if executable else None,
        detail=f"it has loaded {percent} % of its data" if loading else "",
    )


def _seen(home: ServerHome, state: State, detail: str) -> ServerStatus:
    return ServerStatus(
        home.path.parent, state, home.url, home.log, pid=_written_pid(home), detail=detail
    )


def _written_pid(home: ServerHome) -> int | None:
    with suppress(OSError, ValueError):
        return int(home.pid_file.read_text())
    return None
