"""Copies of a database: the one kept before its schema changes, and a damaged one set aside."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from projections.database.projector_lock import projector_lock

BESIDE = ("-wal", "-shm", "")
"""What SQLite adds to the names of the files that make a database; the main file is last."""


def keep_copy(connection: sqlite3.Connection, path: Path, schema: int) -> Path | None:
    """Write a copy of a database with its old ``schema`` to ``<path>.schema-<number>``.

    Whole or not at all, readable by its owner alone. It replaces all copies that were kept
    before: they would hold what has been erased since. Gives None if another process has changed
    the schema meanwhile: it made the copy. Raises ``sqlite3.Error`` where there is no room for it.
    """
    kept = path.with_name(f"{path.name}.schema-{schema}")
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
    try:
        connection.execute("VACUUM INTO ?", (str(fresh),))
        if _schema_of(fresh) != schema:
            return None
        _to_disk(fresh)
        fresh.replace(kept)
        for older in set(_copies(path)) - {kept}:
            older.unlink(missing_ok=True)
        _to_disk(kept.parent)
    finally:
        fresh.unlink(missing_ok=True)
    return kept


def set_aside(path: Path) -> Path:
    """Give a damaged database another name, ``<path>.damaged``, with all that belongs to it.

    An earlier one of that name is replaced. Readers that have the old file open see that it is
    gone with their next query, and open what stands in its place. Raises ``StoreMismatch`` while
    a projector writes to it.
    """
    lock = projector_lock(path)
    lock.acquire()
    try:
        return _renamed(path)
    finally:
        lock.release()


def _copies(path: Path) -> list[Path]:
    name = re.compile(re.escape(path.name) + r"\.schema-\d+")
    return [file for file in path.parent.iterdir() if name.fullmatch(file.name)]


def _renamed(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    for ending in BESIDE:
        old = path.with_name(path.name + ending)
        new = aside.with_name(aside.name + ending)
        new.unlink(missing_ok=True)
        if old.exists():
            old.replace(new)
    return aside


def _schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as copy:
        return int(copy.execute("PRAGMA user_version").fetchone()[0])


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
