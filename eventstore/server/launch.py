"""Starting a server for a folder, and saying why one would not start."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from eventstore.errors import RunStoreError, ServerRefused, StoreMismatch, StoreUnavailable
from eventstore.server.binary import ServerBinary
from eventstore.server.home import ServerHome
from eventstore.server.locks import Deadline, open_lock, take_lock

MAX_LOG_BYTES = 1_048_576
TAIL_LINES = 12
TAIL_BYTES = 4_000
TAIL_COLUMNS = 200
FULL_DISK_BYTES = 1_048_576
# Since this version the append-only file is a folder, which an older server does not even look at.
FIRST_WITH_FOLDER = 7


ALLOCATOR = "glibc.malloc.tcache_count=512:glibc.malloc.tcache_max=8192"
"""The server of the wheel has glibc's allocator, which by default keeps only seven small blocks of
a size at hand: with more, an event takes the server an eighth less of its time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a server. It may still end before it answers, for a reason it only logs."""

    home: ServerHome
    binary: ServerBinary
    log_from: int

    def failure(self) -> RunStoreError:
        """Explain the end of the server, with what it logged last."""
        free = shutil.disk_usage(self.home.path).free
        full = f" The disk is full: {free} bytes are free." if free < FULL_DISK_BYTES else ""
        return ServerRefused(
            f"the server {self.binary.path} (from {self.binary.source}) would not start on "
            f"{self.home.path}.{full}\nThe end of its log, {self.home.log}:\n"
            f"{_tail(self.home.log, self.log_from)}\n"
            "If its data are damaged, keep a copy of that folder, then repair them with "
            "redis-check-aof --fix; if a newer server wrote them, use that one "
            "(RUNSTORE_SERVER_BINARY); or choose another folder.",
            folder=str(self.home.path.parent),
            binary=str(self.binary.path),
            log_path=str(self.home.log),
        )


def launch(home: ServerHome, binary: ServerBinary, appendfsync: str, deadline: Deadline) -> Launch:
    """Start a server in the background; it holds the server lock as long as it lives.

    It is nobody's child and has no terminal: neither the end of the process that started it nor
    a Ctrl-C reaches it. Raises ``StoreUnavailable`` when the program cannot be run,
    ``ServerRefused`` when it ends at once, ``StoreMismatch`` when it is too old for the data.
    """
    _refuse_older(home, binary, deadline)
    _rotate(home.log)
    home.log.touch(mode=0o600)
    started = Launch(home, binary, home.log.stat().st_size)
    command = _command(home, binary, appendfsync, home.place_socket())
    lock = open_lock(home.server_lock)
    try:
        busy = "another process looks at the server's lock"
        take_lock(lock, exclusive=True, deadline=deadline, busy=busy)
        code = _spawn(home, command, lock, deadline)
    finally:
        os.close(lock)  # the server has it open too, and so keeps it
    if code != 0:
        raise started.failure()
    return started


def _command(home: ServerHome, binary: ServerBinary, appendfsync: str, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home.path),
        "daemonize": "yes",
        "pidfile": str(home.pid_file),
        "logfile": str(home.log),
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(binary.path), *words]


def server_environment() -> dict[str, str]:
    """Give the environment that servers are started in: this process's own, with two additions."""
    # Some servers refuse to start under a locale that this machine does not have.
    return {"GLIBC_TUNABLES": ALLOCATOR, **os.environ, "LC_ALL": "C"}


def _spawn(home: ServerHome, command: list[str], lock: int, deadline: Deadline) -> int:
    try:
        with home.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the program is the user's own choice
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home.path,
                env=server_environment(),
                pass_fds=(lock,),
                start_new_session=True,
                umask=0o077,
            )
    except OSError as error:
        raise StoreUnavailable(
            f"{command[0]} cannot be run: {error.strerror or error}", binary=command[0]
        ) from error
    try:
        return process.wait(timeout=deadline.left_s())
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # still our own child, in a session of its own
        process.wait()
        raise StoreUnavailable(
            f"{command[0]} did not go to the background within {deadline.timeout_ms} ms; "
            "is it a Redis or Valkey server?",
            binary=command[0],
        ) from None


def _refuse_older(home: ServerHome, binary: ServerBinary, deadline: Deadline) -> None:
    """Keep an old server from starting empty beside data that it cannot see."""
    if not (home.path / "appendonlydir").is_dir():
        return
    version = _version(binary, deadline)
    if version[:1] < (FIRST_WITH_FOLDER,):
        shown = ".".join(map(str, version))
        raise StoreMismatch(
            f"{home.path} was written by a server of version {FIRST_WITH_FOLDER} or later; "
            f"{binary.path} (from {binary.source}) is {shown} and would start without these "
            "data; use a newer server (pip install 'runstore[all]') or another folder",
            folder=str(home.path.parent),
            version=shown,
        )


def _version(binary: ServerBinary, deadline: Deadline) -> tuple[int, ...]:
    try:
        told = subprocess.run(  # noqa: S603 - the program is the user's own choice
            [binary.path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline.left_s(),
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreUnavailable(
            f"{binary.path} cannot be run: {error}", binary=str(binary.path)
        ) from error
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", told)
    if found is None:
        raise StoreUnavailable(
            f"{binary.path} (from {binary.source}) does not tell a server's version",
            binary=str(binary.path),
        )
    return tuple(map(int, found[1].split(".")))


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))


def _tail(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (it cannot be read: {error.strerror or error})"
    return "\n".join(f"  {line[:TAIL_COLUMNS]}" for line in lines[-TAIL_LINES:]) or "  (nothing)"
