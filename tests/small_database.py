"""Writing names to a database and reading them, for tests of the database itself."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from projections import Database

INSERT = "INSERT INTO meta (name, value) VALUES (?, ?)"
NAMES = "SELECT name FROM meta ORDER BY name"
NOBODY = 65_534


def write(database: Database, name: str, then: Exception | None = None) -> None:
    with database.transaction() as tx:
        tx.execute(INSERT, (name, threading.current_thread().name))
        if then:
            raise then


def names(database: Database) -> list[str]:
    with database.snapshot() as tx:
        return [name for (name,) in tx.execute(NAMES)]


def with_sqlite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()
