"""What SQLite says, in the words of the one error tree. Translated here and nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventstore.errors import RunStoreError, ServerRefused, StoreMismatch, StoreUnavailable

_DAMAGED = (
    "is damaged; everything in it comes from the log: 'runstore project rebuild --damaged' sets it "
    "aside and makes it anew, as does deleting it and projecting again"
)
_KNOWN: dict[int, tuple[type[RunStoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "is being written by another process; try again"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "is being written by another process; try again"),
    sqlite3.SQLITE_FULL: (ServerRefused, "cannot grow: the disk is full; make room"),
    sqlite3.SQLITE_IOERR: (ServerRefused, "cannot be read or written; check disk space and limits"),
    sqlite3.SQLITE_READONLY: (ServerRefused, "may not be written; check its rights and folder"),
    sqlite3.SQLITE_PERM: (ServerRefused, "may not be opened; check its rights"),
    sqlite3.SQLITE_AUTH: (ServerRefused, "may not be opened; check its rights"),
    sqlite3.SQLITE_CANTOPEN: (
        ServerRefused,
        "cannot be opened; check that its folder exists and may be written",
    ),
    sqlite3.SQLITE_NOMEM: (ServerRefused, "needs more memory than there is"),
    sqlite3.SQLITE_CORRUPT: (StoreMismatch, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (StoreMismatch, "is no SQLite database; give another path"),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's refusals as errors of the run store; wrong SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        known = _KNOWN.get(code & 0xFF) if code is not None else None
        if known is None:
            raise
        kind, what = known
        raise kind(f"database {path} {what}", path=str(path)) from error
