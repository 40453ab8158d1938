"""Puts rows that were made aside in the place of the live ones, in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress

from eventstore.clock import Clock, monotonic, system_clock
from eventstore.sqlite.connections import begin, open_writer
from eventstore.sqlite.errors import translated
from projections.aside import Aside
from projections.catching_up import catch_up
from projections.database import SCHEMA, Database, Transaction
from projections.log import Log
from projections.objects import from_json, objects_of, quoted, tables_of, to_json
from projections.projection import Projection
from projections.staging import (
    BUSY_MS,
    WRITER_PATIENCE_MS,
    attach,
    exchange,
    made_by,
    staged,
)
from projections.standing import load_standings

_KINDS = {"table": "TABLE", "view": "VIEW"}

_RECORDED = "SELECT objects FROM projections WHERE name = ?"
_PART = "SELECT sql FROM aside.sqlite_master WHERE type = ? AND tbl_name = ? AND sql NOT NULL"
_TRIGGERS = "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
_COLUMNS = "SELECT name, hidden FROM pragma_table_xinfo(?, 'aside') ORDER BY cid"
_SHADOWS = """
SELECT name FROM pragma_table_list WHERE schema = 'aside' AND type = 'shadow'
    AND substr(name, 1, length(?) + 1) = ? || '_'
"""
_VIRTUAL = (
    "SELECT 1 FROM pragma_table_list WHERE schema = 'aside' AND name = ? AND type = 'virtual'"
)
_IN_PLACE = """
INSERT INTO projections (name, version, generation, objects) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, generation = excluded.generation,
    objects = excluded.objects, failed_ms = NULL, failure = NULL
"""


def switch(store: Log, live: Database, aside: Aside, clock: Clock = system_clock) -> float:
    """Replace the rows, positions and skipped events of the projections that were made aside.

    Gives for how many seconds nobody else could write.

    Rows are brought into the live file first, in steps between which others write. The switch
    itself is one transaction: readers see all old rows until its commit, and all new ones after
    it; none of them waits. In it what others wrote meanwhile is taken in. Killed before the
    commit, the old rows stand.
    """
    tables = [table for one in aside.projections for table in tables_of(one)]
    with staged(live.path, aside.path, tables) as ready:
        return _switch(store, live, aside, ready, clock)


def _switch(store: Log, live: Database, aside: Aside, ready: set[str], clock: Clock) -> float:
    """Make the switch.

    It has a connection of its own: any other of this process may keep parts of full-text tables
    in memory, and would not notice what it writes itself.
    """
    with (
        closing(open_writer(live.path, SCHEMA, BUSY_MS)) as connection,
        translated(live.path, SCHEMA),
    ):
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA secure_delete = OFF")  # of whole tables, while others wait
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # the same
        attach(connection, aside.path)
        begin(connection, live.path, SCHEMA, WRITER_PATIENCE_MS)
        began_s = monotonic()
        tx = Transaction(connection, live.path, SCHEMA)
        before = load_standings(tx)
        for projection in aside.projections:
            _replace_rows(tx, projection, ready)
            _replace_bookkeeping(tx, projection, aside.id)
        catch_up(tx, store, aside.projections, before, clock)
        connection.execute("COMMIT")
        seconds = monotonic() - began_s
        with suppress(sqlite3.Error):  # it is done: whoever writes next may tidy up
            connection.execute("PRAGMA main.wal_checkpoint(PASSIVE)")
        return seconds


def _replace_rows(tx: Transaction, projection: Projection, ready: set[str]) -> None:
    """Make all that belongs to a projection anew, as the second file has it."""
    objects = objects_of(projection)
    recorded = tx.execute(_RECORDED, (projection.name,))
    before = from_json(recorded[0][0]) if recorded else []
    kept = {name for name in ready if made_by(tx, name) == made_by(tx, name, "aside")}
    for kind, name in reversed(list(dict.fromkeys([*before, *objects]))):
        if name in kept:
            _drop_triggers(tx, name)
        else:
            tx.execute(f"DROP {_KINDS[kind]} IF EXISTS main.{quoted(name)}")
    for kind, name in objects:
        if name not in kept:
            _make(tx, kind, name)
            if kind == "table":
                _make(tx, "index", name)
        if name in ready:
            exchange(tx, name)
        elif kind == "table":
            _copy(tx, name)
    for _, name in objects:  # only now: they must not fire for rows that are copied
        _make(tx, "trigger", name)


def _drop_triggers(tx: Transaction, table: str) -> None:
    for (name,) in tx.execute(_TRIGGERS, (table,)):
        tx.execute(f"DROP TRIGGER main.{quoted(name)}")


def _make(tx: Transaction, kind: str, table: str) -> None:
    for (sql,) in tx.execute(_PART, (kind, table)):
        tx.execute(sql)


def _copy(tx: Transaction, table: str) -> None:
    """Copy a table's rows; of a virtual table those of the tables that it is made of."""
    if not tx.execute(_VIRTUAL, (table,)):
        _copy_plain(tx, table)
        return
    for (part,) in tx.execute(_SHADOWS, (table, table)):
        tx.execute(f"DELETE FROM main.{quoted(part)}")
        _copy_plain(tx, part)


def _copy_plain(tx: Transaction, table: str) -> None:
    columns = tx.execute(_COLUMNS, (table,))
    if all(hidden == 0 for _, hidden in columns):  # the form that is copied page by page
        tx.execute(f"INSERT INTO main.{quoted(table)} SELECT * FROM aside.{quoted(table)}")
        return
    stored = ", ".join(quoted(name) for name, hidden in columns if hidden == 0)
    tx.execute(
        f"INSERT INTO main.{quoted(table)} ({stored}) SELECT {stored} FROM aside.{quoted(table)}"
    )


def _replace_bookkeeping(tx: Transaction, projection: Projection, generation: str) -> None:
    name = projection.name
    for table in ("positions", "dead_events"):
        tx.execute(f"DELETE FROM main.{table} WHERE projection = ?", (name,))
        tx.execute(
            f"INSERT INTO main.{table} SELECT * FROM aside.{table} WHERE projection = ?", (name,)
        )
    objects = to_json(objects_of(projection))
    tx.execute(_IN_PLACE, (name, projection.version, generation, objects))
