"""How SQLite connections are opened: file checks, rights, pragmas.

Only SQLite itself may open a file that exists. Closing any other handle to it would end the locks
that this process holds on it; another process would then believe itself to be alone, and remove
the log beside the file in which this one still writes.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from eventstore.errors import ServerRefused, StoreUnavailable
from eventstore.sqlite.errors import no_database, translated
from eventstore.sqlite.schema import Schema

_LEAST_BYTES = 512
"""No database with anything in it is smaller; some versions of SQLite take such a file for an
empty one."""
_WAL_PAGES = 8_000  # 32 MB: a page that many batches touch is copied to the database once
_WAL_LIMIT_BYTES = 64 * 1_048_576
_CACHE_KIB = 32 * 1_024
_RETRY_PAUSE_S = 0.01

FileId = tuple[int, int] | None


def open_writer(path: Path, schema: Schema, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open a database to write, new or not, and bring its schema up to date.

    Raises ``StoreMismatch`` for a file that is not ours, ``ServerRefused`` where the folder or
    the disk does not allow it.
    """
    _make_file(path, schema)
    _check_size(path, schema)
    connection = _connect(path, schema, "mode=rw", busy_timeout_ms)
    try:
        with translated(path, schema):
            number = schema.check(connection, path)  # before anything is written
            if schema.before_migrating and 0 < number < schema.steps[-1].number:
                schema.before_migrating(connection, path, number)
            _use_wal(connection, busy_timeout_ms)
            connection.execute(f"PRAGMA synchronous = {'FULL' if schema.is_kept else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            schema.migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, schema: Schema, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open a database to read; it must exist, with the newest schema. Raises as ``open_writer``."""
    if not path.exists():
        raise ServerRefused(f"no {schema.kind} at {path}; {schema.when_missing}", path=str(path))
    _check_size(path, schema)
    connection = _connect(path, schema, _reading_mode(path), busy_timeout_ms)
    try:
        with translated(path, schema):
            connection.execute("PRAGMA query_only = ON")
            schema.check_newest(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: sqlite3.Connection, path: Path, schema: Schema, patience_ms: int = 0) -> None:
    """Begin a transaction that writes; another writer is waited for, see ``busy_timeout_ms``.

    Where ``patience_ms`` is more than that, it is tried again: a signal is heeded in between.
    """
    deadline = time.monotonic() + patience_ms / 1_000
    while True:
        try:
            with translated(path, schema):
                connection.execute("BEGIN IMMEDIATE")
        except StoreUnavailable:
            if time.monotonic() >= deadline:
                raise
        else:
            return


def file_id(path: Path) -> FileId:
    """Tell one file from another that takes its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, schema: Schema, mode: str, busy_timeout_ms: int) -> sqlite3.Connection:
    with translated(path, schema):
        return sqlite3.connect(
            f"file:{quote(str(path))}?{mode}",
            uri=True,
            timeout=busy_timeout_ms / 1_000,
            isolation_level=None,  # transactions begin and end where the code says so
            check_same_thread=False,
        )


def _reading_mode(path: Path) -> str:
    """Say how to read: where nobody can write beside the file, nobody is writing to it."""
    in_use = path.with_name(path.name + "-wal").exists()
    return "mode=ro" if in_use or os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"


def _make_file(path: Path, schema: Schema) -> None:
    """Make an empty file that its owner alone may read: SQLite gives its others the same rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ServerRefused(
            f"cannot write {schema.kind} {path} ({error.strerror}); choose a folder that exists "
            "and may be written",
            path=str(path),
        ) from error


def _check_size(path: Path, schema: Schema) -> None:
    """Refuse a file that is too short to be a database. What else is none, SQLite tells."""
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise ServerRefused(f"cannot read {path} ({error.strerror})", path=str(path)) from error
    if 0 < size_bytes < _LEAST_BYTES:
        raise no_database(path, schema)


def _use_wal(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    """Switch to write-ahead logging; SQLite does not wait for others by itself here."""
    deadline = time.monotonic() + busy_timeout_ms / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return
