"""One writer a file: a lock that dies with the process that holds it, and says who that is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eventstore.clock import Clock, monotonic, system_clock
from eventstore.errors import ServerRefused, StoreMismatch

_HOLDER_BYTES = 1_024
_MAX_SAYING = 300
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: its process, the machine that it runs on, since when, and what it says."""

    pid: int
    host: str
    since: str
    saying: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


class WriterLock:
    """An exclusive lock on ``<file>.lock``; that stays, and names its last holder."""

    def __init__(self, path: Path, *, what: str, clock: Clock = system_clock) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._what = what
        self._clock = clock
        self._file: int | None = None
        self._holder: Holder | None = None

    def acquire(self, timeout_s: float | None = 0, stop: threading.Event | None = None) -> bool:
        """Take the lock within ``timeout_s`` seconds; None waits for ever.

        Gives False if ``stop`` was set before it was free. Raises ``StoreMismatch`` naming who
        holds it (``holder_pid``, ``holder_host``, ``since``).
        """
        if self._file is not None:
            return True
        file = self._opened()
        try:
            if self._waited(file, timeout_s, stop or threading.Event()):
                since = f"{self._clock():%Y-%m-%dT%H:%M:%SZ}"
                self._holder = Holder(os.getpid(), socket.gethostname(), since)
                _write_holder(file, self._holder)
                self._file = file
        finally:
            if self._file is None:
                os.close(file)
        return self._file is not None

    def say(self, saying: str) -> None:
        """Tell others who ask for the holder; it works on a full disk too."""
        if self._file is not None and self._holder is not None:
            self._holder = replace(self._holder, saying=saying[:_MAX_SAYING])
            _write_holder(self._file, self._holder)

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def holder(self) -> Holder | None:
        """Say who holds the lock now; None if nobody does, or nobody can tell."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return None if _locked(file, fcntl.LOCK_SH) else _read_holder(file)
        finally:
            os.close(file)

    def _waited(self, file: int, timeout_s: float | None, stop: threading.Event) -> bool:
        deadline_s = None if timeout_s is None else monotonic() + timeout_s
        while not _locked(file):
            if deadline_s is not None and monotonic() >= deadline_s:
                raise self._held(_read_holder(file))
            if stop.wait(_LOOK_EVERY_S):
                return False
        return True

    def _opened(self) -> int:
        try:
            return os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServerRefused(f"cannot lock {self.path} ({error.strerror})") from error

    def _held(self, holder: Holder | None) -> StoreMismatch:
        return StoreMismatch(
            f"{self._what}: {holder or 'a process that gave no name'}; wait for it, stop it, or "
            "give another path",
            holder_pid=holder and holder.pid,
            holder_host=holder and holder.host,
            since=holder and holder.since,
        )


def _locked(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_holder(file: int, holder: Holder) -> None:
    # Always of one size: written over, it needs no more room.
    written = json.dumps(asdict(holder)).encode().ljust(_HOLDER_BYTES)
    with suppress(OSError):  # whoever holds the lock need not be named
        os.pwrite(file, written, 0)


def _read_holder(file: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(file, _HOLDER_BYTES, 0)))
    except (OSError, ValueError, TypeError):
        return None  # it is just being written
