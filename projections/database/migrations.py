"""The schema's numbered steps, and how a database is brought to the newest one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from eventstore.errors import StoreMismatch

APPLICATION_ID = 0x52554E53
"""Marks a SQLite file as one of ours: the bytes spell RUNS."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: ``schema/<number>_<name>.sql``."""

    number: int
    name: str
    script: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Give the steps that come with this code, in order."""
    scripts = (files("projections") / "schema").iterdir()
    named = sorted((script.name, script) for script in scripts if script.name.endswith(".sql"))
    return tuple(
        Migration(int(name.partition("_")[0]), name, script.read_text("utf-8"))
        for name, script in named
    )


def check_database(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> int:
    """Give the number of the last step the database has; 0 for a new one.

    Raises ``StoreMismatch`` for a database of another application, or of newer code.
    """
    # One statement, so that a migration of another process comes before all of it or after.
    application, number, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application != APPLICATION_ID and (application or number or tables):
        raise StoreMismatch(
            f"{path} is a database of another application; give another path", path=str(path)
        )
    if number > steps[-1].number:
        raise StoreMismatch(
            f"database {path} has schema {number}, this code knows {steps[-1].number}; "
            "update the code, or give another path",
            path=str(path),
            found=number,
            known=steps[-1].number,
        )
    return int(number)


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration]) -> None:
    """Bring the database to the newest step, each step in a transaction of its own.

    Safe when several processes do it at once. Raises as ``check_database`` does.
    """
    for step in steps:
        if check_database(connection, path, steps) >= step.number:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if check_database(connection, path, steps) < step.number:
                _take(connection, step)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _take(connection: sqlite3.Connection, step: Migration) -> None:
    for statement in statements(step.script):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {step.number}")


def statements(script: str) -> Iterator[str]:
    """Split a script into its statements: ``executescript`` would commit before it runs."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
