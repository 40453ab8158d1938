"""Puts rows that were made aside in the place of the live ones, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress

from eventstore.clock import monotonic
from eventstore.sqlite.connections import begin, open_writer
from eventstore.sqlite.errors import translated
from projections.aside import Aside, attach
from projections.database import SCHEMA, Database, Transaction
from projections.feed import WRITER_PATIENCE_MS, reached_all
from projections.objects import from_json, objects_of, to_json
from projections.projection import Projection
from projections.standing import Standing, load_standings

_BUSY_MS = 5_000
_KINDS = {"table": "TABLE", "view": "VIEW"}

_RECORDED = "SELECT objects FROM projections WHERE name = ?"
_PART = "SELECT sql FROM aside.sqlite_master WHERE type = ? AND tbl_name = ? AND sql NOT NULL"
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


def switch(live: Database, aside: Aside) -> float:
    """Replace the rows, positions and skipped events of the projections that were made aside.

    Gives for how many seconds nobody else could write.

    Readers see all old rows until the commit, and all new ones after it; none of them waits.
    Writers wait: while the live projector stands still, the last events are taken in and the
    tables copied, whole pages of tables and indexes at a time. Killed before the commit, the old
    rows stand.

    It has a connection of its own: any other of this process may keep parts of full-text tables
    in memory, and would not notice what it writes itself.
    """
    with (
        closing(open_writer(live.path, SCHEMA, _BUSY_MS)) as connection,
        translated(live.path, SCHEMA),
    ):
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # not while others wait
        begin(connection, live.path, SCHEMA, WRITER_PATIENCE_MS)
        began_s = monotonic()
        tx = Transaction(connection, live.path, SCHEMA)
        _catch_up(aside, load_standings(tx))
        attach(connection, aside.path)
        for projection in aside.projections:
            _replace_rows(tx, projection)
            _replace_bookkeeping(tx, projection, aside.id)
        connection.execute("COMMIT")
        seconds = monotonic() - began_s
        with suppress(sqlite3.Error):  # it is done: whoever writes next may tidy up
            connection.execute("PRAGMA main.wal_checkpoint(PASSIVE)")
        return seconds


def _catch_up(aside: Aside, live: Mapping[str, Standing]) -> None:
    """Read at least as far as the live rows are, so that none of them goes back.

    Where the log has gone back, its end must do: the live rows are of events that are lost.
    """
    wanted = [live[one.name].positions for one in aside.projections if one.name in live]
    while not all(reached_all(aside.reached, one) for one in wanted):
        if not aside.step():
            return


def _replace_rows(tx: Transaction, projection: Projection) -> None:
    """Make all that belongs to a projection anew, as the second file has it."""
    objects = objects_of(projection)
    recorded = tx.execute(_RECORDED, (projection.name,))
    before = from_json(recorded[0][0]) if recorded else []
    for kind, name in reversed(list(dict.fromkeys([*before, *objects]))):
        tx.execute(f"DROP {_KINDS[kind]} IF EXISTS main.{quoted(name)}")
    for kind, name in objects:
        _make(tx, kind, name)
        if kind == "table":
            _make(tx, "index", name)
            _copy(tx, name)
    for _, name in objects:  # only now: they must not fire for rows that are copied
        _make(tx, "trigger", name)


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


def quoted(name: str) -> str:
    """Write the name of a table or column into SQL."""
    return '"' + name.replace('"', '""') + '"'
