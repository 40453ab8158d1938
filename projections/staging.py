"""Rows that were made aside, brought into the live file under other names, ahead of the switch.

A switch then only exchanges what two tables hold. SQLite has no word for that, so it is done where
SQLite keeps which page a table begins at; both tables were made by the same statements. Where it
does not allow that, and for tables that it cannot be done with, nothing is staged, and the switch
copies rows.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from eventstore.clock import monotonic
from eventstore.sqlite.connections import begin, open_writer
from eventstore.sqlite.errors import translated
from projections.database import SCHEMA, Transaction
from projections.objects import quoted

PREFIX = "rebuilt: "
"""What the names of staged tables and indexes begin with."""
STEP_ROWS = 10_000
"""How many rows are copied in one transaction; of a table without rowids, all."""
BUSY_MS = 5_000
WRITER_PATIENCE_MS = 120_000

_MAX_PAUSE_S = 0.1
_NAME = r"""("(?:[^"]|"")*"|\[[^\]]*\]|`[^`]*`|[^\s("'`\[]+)"""
_TABLE = re.compile(rf"(CREATE TABLE) {_NAME}", re.IGNORECASE)
_INDEX = re.compile(rf"(CREATE (?:UNIQUE )?INDEX) {_NAME}\s+ON\s+{_NAME}", re.IGNORECASE)

_STAGED = """
SELECT name FROM main.sqlite_master WHERE type = 'table' AND substr(name, 1, length(?)) = ?
"""
_MADE_BY = """
SELECT type, name, sql FROM {schema}.sqlite_master
WHERE tbl_name = ? AND type IN ('table', 'index') AND sql NOT NULL ORDER BY type DESC, rowid
"""
_PLAIN = "SELECT 1 FROM pragma_table_list WHERE schema = 'aside' AND name = ? AND type = 'table'"
_HAS_ROWIDS = """
SELECT 1 FROM pragma_table_list l WHERE schema = 'aside' AND name = ? AND NOT wr
    AND NOT EXISTS (SELECT 1 FROM pragma_table_info(l.name, 'aside') WHERE name = 'rowid')
"""
_NEXT = """
SELECT max(rowid) FROM (SELECT rowid FROM aside.{table} WHERE rowid >= ? ORDER BY rowid LIMIT ?)
"""
_COMPUTED = "SELECT 1 FROM pragma_table_xinfo(?, 'aside') WHERE hidden"
_ROOTS = "SELECT name, rootpage FROM main.sqlite_master WHERE tbl_name = ? AND rootpage"


@contextmanager
def staged(path: Path, aside: Path, tables: Iterable[str]) -> Iterator[set[str]]:
    """Copy tables of the file ``aside`` into the live one, and say which; drop them at the end.

    So many rows are one transaction, so that other writers get their turns. What an earlier one
    left, that was killed, is dropped first.
    """
    unstage(path)
    try:
        yield set(_stage(path, aside, tables))
    finally:
        unstage(path)


def unstage(path: Path) -> None:
    """Drop all staged tables, after a switch those with the old rows; each by itself."""
    with _steps(path) as connection:
        for (name,) in connection.execute(_STAGED, (PREFIX, PREFIX)).fetchall():
            _in_turn(connection, path, f"DROP TABLE main.{quoted(name)}")


def exchange(tx: Transaction, table: str) -> None:
    """Let a table and the staged one of its name hold each other's rows, indexes and all."""
    live = dict(tx.execute(_ROOTS, (table,)))
    other = {
        name.replace(PREFIX, "", 1): (name, root)
        for name, root in tx.execute(_ROOTS, (PREFIX + table,))
    }
    if live.keys() != other.keys():
        raise AssertionError(f"{table} and its staged rows differ: {live}, {other}")
    tx.execute("PRAGMA writable_schema = ON")
    for name, (staged_name, root) in other.items():
        for begins_at, which in ((root, name), (live[name], staged_name)):
            tx.execute(
                "UPDATE main.sqlite_master SET rootpage = ? WHERE name = ?", (begins_at, which)
            )
    tx.execute("PRAGMA writable_schema = OFF")
    ((number,),) = tx.execute("PRAGMA main.schema_version")
    tx.execute(f"PRAGMA main.schema_version = {number + 1}")  # all connections read it again


def made_by(tx: Transaction, table: str, schema: str = "main") -> list[tuple[str, str, str]]:
    """Give the statements that make a table and its indexes, with kinds and names."""
    return tx.execute(_MADE_BY.format(schema=schema), (table,))


def attach(connection: sqlite3.Connection, aside: Path) -> None:
    """Attach another database as ``aside``, only to be read."""
    connection.execute("ATTACH ? AS aside", (f"file:{quote(str(aside))}?mode=ro",))


def _stage(path: Path, aside: Path, tables: Iterable[str]) -> Iterator[str]:
    with _steps(path) as connection:
        attach(connection, aside)
        if not _may_exchange(connection):
            return
        tx = Transaction(connection, path, SCHEMA)
        for table in tables:
            statements = _renamed(tx, table)
            if statements:
                _in_turn(connection, path, *statements)
                copy = (
                    f"INSERT INTO main.{quoted(PREFIX + table)} SELECT * FROM aside.{quoted(table)}"
                )
                for part in _parts(tx, table):
                    _in_turn(connection, path, f"{copy} {part}")
                yield table


def _parts(tx: Transaction, table: str) -> Iterator[str]:
    """Part a table's rows into so many as one step takes; not those of tables without rowids."""
    if not tx.execute(_HAS_ROWIDS, (table,)):
        yield ""
        return
    ((low, high),) = tx.execute(f"SELECT min(rowid), max(rowid) FROM aside.{quoted(table)}")
    while low is not None:
        ((last,),) = tx.execute(_NEXT.format(table=quoted(table)), (low, STEP_ROWS))
        yield f"WHERE rowid BETWEEN {low} AND {last} ORDER BY rowid"
        low = None if last == high else last + 1


def _renamed(tx: Transaction, table: str) -> list[str]:
    """Give the statements that make a table and its indexes under their staged names.

    None for what is no plain table, or is written in a way that this does not understand.
    """
    if not tx.execute(_PLAIN, (table,)) or tx.execute(_COMPUTED, (table,)):
        return []
    renamed = []
    for kind, name, sql in made_by(tx, table, "aside"):
        found = (_TABLE if kind == "table" else _INDEX).match(sql)
        if not found or "AUTOINCREMENT" in sql.upper():
            return []
        named = "" if kind == "table" else f"{quoted(PREFIX + name)} ON "
        renamed.append(f"{found[1]} {named}{quoted(PREFIX + table)}{sql[found.end() :]}")
    return renamed


def _may_exchange(connection: sqlite3.Connection) -> bool:
    """Say whether this SQLite lets its table of contents be written; some are built not to."""
    connection.execute("PRAGMA writable_schema = ON")
    ((allowed,),) = connection.execute("PRAGMA writable_schema")
    connection.execute("PRAGMA writable_schema = OFF")
    return bool(allowed)


@contextmanager
def _steps(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection for large steps; what they remove stays in unused space for a while."""
    with closing(open_writer(path, SCHEMA, BUSY_MS)) as connection, translated(path, SCHEMA):
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA secure_delete = OFF")
        yield connection


def _in_turn(connection: sqlite3.Connection, path: Path, *statements: str) -> None:
    """Run statements in one transaction, and then let others write for as long."""
    begin(connection, path, SCHEMA, WRITER_PATIENCE_MS)
    began_s = monotonic()
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
    time.sleep(min(monotonic() - began_s, _MAX_PAUSE_S))
