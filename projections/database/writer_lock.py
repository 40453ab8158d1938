"""One projector a database: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from eventstore.errors import ServerRefused, StoreMismatch

_PID_BYTES = 20


class WriterLock:
    """An exclusive lock on ``<database>.lock``; the file stays, and names its last holder."""

    def __init__(self, database_path: Path) -> None:
        self.path = database_path.with_name(database_path.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, at once or not at all.

        Raises ``StoreMismatch`` naming the process that holds it.
        """
        if self._file is not None:
            return
        try:
            file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServerRefused(f"cannot lock {self.path} ({error.strerror})") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, _PID_BYTES, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise StoreMismatch(
                f"another projector writes to this database, in process {holder or 'unknown'}; "
                "stop it first, or give another path",
                holder_pid=int(holder) if holder.isdigit() else None,
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
