"""The numbered steps of a file's schema, and how a file is brought to the newest one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from eventstore.errors import StoreMismatch

LAYOUT = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
"""Gives what ``Schema.check_layout`` takes. ``ANALYZE`` makes tables of its own."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: ``<folder>/<number>_<name>.sql``."""

    number: int
    name: str
    script: str


@dataclass(frozen=True)
class Schema:
    """What a kind of file holds, and what people are told when one is not as it should be."""

    application_id: int
    """Marks a SQLite file as one of this kind."""
    package: str
    """The package whose folder ``schema`` holds the steps."""
    kind: str
    """What such a file is called: "archive"."""
    is_kept: bool
    """Whether it alone holds what is in it. Then each commit waits for the disk."""
    when_missing: str
    when_older: str
    when_damaged: str
    before_migrating: Callable[[sqlite3.Connection, Path, int], object] | None = None
    """Is called before an older file is changed, with the number of the last step that it has."""

    @cached_property
    def steps(self) -> tuple[Migration, ...]:
        """The steps that come with this code, in order."""
        scripts = (files(self.package) / "schema").iterdir()
        named = sorted((script.name, script) for script in scripts if script.name.endswith(".sql"))
        return tuple(
            Migration(int(name.partition("_")[0]), name, script.read_text("utf-8"))
            for name, script in named
        )

    def check(self, connection: sqlite3.Connection, path: Path) -> int:
        """Give the number of the last step the file has; 0 for a new one.

        Raises ``StoreMismatch`` for a file of another kind, or of newer code.
        """
        # One statement, so that a migration of another process comes before all of it or after.
        application, number, tables = connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
            "FROM pragma_application_id, pragma_user_version"
        ).fetchone()
        if application != self.application_id and (application or number or tables):
            raise StoreMismatch(
                f"{path} is a database of another application, so no {self.kind} of ours; give "
                "another path",
                path=str(path),
            )
        if number > self.steps[-1].number:
            raise StoreMismatch(
                f"{self.kind} {path} has schema {number}, this code knows "
                f"{self.steps[-1].number}; update the code, or give another path",
                path=str(path),
                found=number,
                known=self.steps[-1].number,
            )
        return int(number)

    def check_layout(self, tables: Iterable[Sequence[Any]], path: Path) -> None:
        """Raise ``StoreMismatch`` unless the file has the tables and indices of its steps, no more.

        ``tables`` are the rows of ``LAYOUT``.
        """
        if sorted(map(_plain, tables)) != self._layout:
            raise StoreMismatch(
                f"the tables or indices of {self.kind} {path} are not those that were made: it "
                f"was changed or is damaged; {self.when_damaged}",
                path=str(path),
            )

    @cached_property
    def _layout(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(":memory:")) as connection:
            for step in self.steps:
                connection.executescript(step.script)
            return sorted(map(_plain, connection.execute(LAYOUT)))

    def check_newest(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raise ``StoreMismatch`` unless the file has every step."""
        if self.check(connection, path) < self.steps[-1].number:
            raise StoreMismatch(
                f"{self.kind} {path} has an older schema; {self.when_older}", path=str(path)
            )

    def migrate(self, connection: sqlite3.Connection, path: Path) -> None:
        """Bring the file to the newest step, each step in a transaction of its own.

        Safe when several processes do it at once. Raises as ``check`` does.
        """
        for step in self.steps:
            if self.check(connection, path) >= step.number:
                continue
            connection.execute("BEGIN IMMEDIATE")
            try:
                if self.check(connection, path) < step.number:
                    self._take(connection, step)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _take(self, connection: sqlite3.Connection, step: Migration) -> None:
        for statement in statements(step.script):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self.application_id}")
        connection.execute(f"PRAGMA user_version = {step.number}")


def _plain(table: Sequence[Any]) -> tuple[str, str]:
    """Write a table without comments and spaces."""
    name, sql = table
    return str(name), re.sub(r"--[^\n]*|\s+", "", str(sql))


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
