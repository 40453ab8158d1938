"""What SQLite says, in the words of the one error tree. Translated here and nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventstore.errors import RunStoreError, ServerRefused, StoreMismatch, StoreUnavailable
from eventstore.sqlite.schema import Schema

_DAMAGED = "is damaged"
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
}


@contextmanager
def translated(path: Path, schema: Schema) -> Iterator[None]:
    """Raise SQLite's refusals as errors of the run store; wrong SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None and "decode to UTF-8" in str(error):
            code = sqlite3.SQLITE_CORRUPT  # Python read a text that SQLite never wrote
        if code == sqlite3.SQLITE_NOTADB:
            raise no_database(path, schema) from error
        known = _KNOWN.get(code & 0xFF) if code is not None else None
        if known is None:
            raise
        kind, what = known
        advice = f"; {schema.when_damaged}" if what == _DAMAGED else ""
        raise kind(f"{schema.kind} {path} {what}{advice}", path=str(path), code=code) from error
    except UnicodeDecodeError as error:  # in the words in which SQLite tells of a damaged schema
        raise StoreMismatch(
            f"{schema.kind} {path} {_DAMAGED}; {schema.when_damaged}", path=str(path)
        ) from error


def no_database(path: Path, schema: Schema) -> StoreMismatch:
    """Make the error for a file that is no database at all."""
    return StoreMismatch(
        f"{path} is no SQLite database, so no {schema.kind}: give another path; should it have "
        f"been one, it is damaged; {schema.when_damaged}",
        path=str(path),
    )
