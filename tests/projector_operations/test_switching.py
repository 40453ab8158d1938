"""The switch exchanges tables that were brought into the live file before; writers hardly wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from histories import ListLog

from eventstore.errors import ProjectionFailed
from eventstore.events import RecordedEvent
from projections import (
    BUILT_IN,
    Database,
    Projection,
    Projector,
    Runs,
    Transaction,
    open_database,
    rebuild,
    staging,
    switching,
    verify,
)
from projections.rebuilding import Rebuild, chosen
from projector_operations.samples import (
    ALL,
    Picky,
    a_log,
    change,
    picked,
    places,
    rows,
    staged_tables,
)


class Odd(Projection):
    """Has tables and indexes of every kind, with names that must be quoted."""

    name: ClassVar[str] = "odd"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE "two words" ("the run" TEXT, n INTEGER UNIQUE, PRIMARY KEY ("the run", n));
        CREATE UNIQUE INDEX "an index" ON "two words" (n, "the run") WHERE n > 2;
        CREATE INDEX IF NOT EXISTS [by length]
            ON [two words] (length("the run") DESC);
        CREATE TABLE keyed(run_id TEXT PRIMARY KEY, n) WITHOUT ROWID;
        CREATE INDEX "keyed""s" ON keyed(n);
        CREATE TABLE counted (number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT);
        CREATE TABLE computed (run_id TEXT, size INTEGER AS (length(run_id)) STORED);
        CREATE VIRTUAL TABLE spoken USING fts5(run_id);
        CREATE VIEW total AS SELECT count(*) AS n FROM "two words";
        CREATE TABLE noted (n INTEGER);
        CREATE TRIGGER noting AFTER INSERT ON keyed BEGIN INSERT INTO noted VALUES (new.n); END;
    """

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        run_id, (partition, _, n) = event.run_id, event.position
        tx.execute('INSERT INTO "two words" VALUES (?, ?)', (run_id, n * 10 + partition))
        tx.execute("INSERT INTO keyed VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (run_id,))
        for table in ("counted", "computed", "spoken"):
            tx.execute(f"INSERT INTO {table} (run_id) VALUES (?)", (run_id,))


TABLES = ("two words", "keyed", "counted", "computed", "spoken", "noted", "total")


def odd_rows(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
        return {
            "(made)": made.fetchall(),
            "(sequence)": connection.execute("SELECT * FROM sqlite_sequence").fetchall(),
            "(found)": connection.execute("SELECT * FROM spoken ('run')").fetchall(),
        } | {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in TABLES}


@pytest.fixture(params=["exchanged", "copied"])
def exchanged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say which tables were exchanged; none, where SQLite does not let its own be written."""
    if request.param == "copied":
        monkeypatch.setattr(staging, "_may_exchange", lambda *_: False)
    monkeypatch.setattr(staging, "STEP_ROWS", 7)
    names: list[str] = []

    def exchange(tx: Transaction, table: str) -> None:
        names.append(table)
        staging.exchange(tx, table)

    monkeypatch.setattr(switching, "exchange", exchange)
    return names


def test_tables_and_indexes_of_every_kind_are_put_in_place(
    database: Database, path: Path, exchanged: list[str], request: pytest.FixtureRequest
) -> None:
    # given rows, and a reader that has looked at them
    events = a_log(3)
    log = ListLog(events[:20])
    with Projector(log, database, [Odd]) as projector:
        projector.run_to_end()
    before = odd_rows(path)
    with database.snapshot() as tx:
        tx.execute('SELECT * FROM "two words", keyed')
    # when they are made anew, twice
    for _ in range(2):
        rebuild(log, database, projections=[Odd])
        # then all is as it was, also in how it was made, and nothing lies about
        assert odd_rows(path) == before
        assert staged_tables(path) == []
    wanted = [] if "copied" in request.node.name else ["two words", "keyed", "noted"] * 2
    assert exchanged == wanted
    # and goes on as if nothing had been
    log.extend(events[20:])
    with Projector(log, database, [Odd]) as projector:
        projector.run_to_end()
    with open_database(path.with_name("whole.db")) as whole, Projector(log, whole, [Odd]) as other:
        other.run_to_end()
    assert odd_rows(path) == odd_rows(path.with_name("whole.db"))


@contextmanager
def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Any) -> Iterator[None]:
    """Act when the rows are brought in, and the switch has not begun."""
    stage = staging._stage

    def staged_then(*arguments: Any) -> Iterator[str]:
        yield from stage(*arguments)
        act()

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_stage", staged_then)
        yield


@pytest.mark.parametrize("paused", [False, True])
def test_others_write_until_the_switch_which_takes_in_what_they_wrote(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch, *, paused: bool
) -> None:
    # given rows made aside, and events that came after these were brought into the live file
    events = a_log(20)
    log = ListLog(events[:100])
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()

        def append_and_project() -> None:
            log.extend(events[100:])
            projector.run_to_end()
            if paused:
                projector.pause("runs", "audit")

        with meanwhile(monkeypatch, append_and_project):
            rebuild(log, database, projections=ALL)
        # then no row went back
        assert {status.events for status in projector.status()} == {len(events)}
        assert {status.state for status in projector.status()} == (
            {"running", "paused"} if paused else {"running"}
        )
    with open_database(path.with_name("whole.db")) as whole, Projector(log, whole, ALL) as other:
        other.run_to_end()
    assert rows(path) == rows(path.with_name("whole.db"))
    assert verify(log, database, projections=ALL).found == 0


def test_an_event_of_the_last_moment_that_cannot_be_taken_leaves_the_old_rows(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = a_log(6)
    log = ListLog(events[:30])
    with Projector(log, database, [Picky]) as projector:
        projector.run_to_end()

        def append_and_hate() -> None:
            log.extend(events[30:])
            projector.run_to_end()
            monkeypatch.setattr(Picky, "hated", {(events[40].run_id, events[40].version)})

        rebuilding = Rebuild(log, database, chosen([Picky], ()))
        while rebuilding.step():
            pass
        with meanwhile(monkeypatch, append_and_hate), pytest.raises(ProjectionFailed):
            rebuilding.switch()
        rebuilding.close()
        assert [status.state for status in projector.status()] == ["running"]
    assert picked(database) == places(events)
    assert staged_tables(path) == []


def test_writers_get_their_turns_while_rows_are_brought_in(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ListLog(a_log(3))
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
    turns = 0
    in_turn = staging._in_turn

    def then_write(*arguments: Any) -> None:
        nonlocal turns
        in_turn(*arguments)
        with open_database(path, busy_timeout_ms=1).transaction() as tx:  # would not wait
            tx.execute("UPDATE meta SET value = value")
        turns += 1

    monkeypatch.setattr(staging, "_in_turn", then_write)
    rebuild(log, database, projections=ALL)
    assert turns > 40
    assert Runs(database).counts_by_status() == {"completed": 3}


def test_readers_see_the_new_rows_from_the_switch_on_not_only_when_the_old_ones_are_dropped(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given rows that somebody changed, and a reader that knows the file
    log = ListLog(a_log(2))
    with Projector(log, database, BUILT_IN) as projector:
        projector.run_to_end()
    change(path, "UPDATE timeline SET type = 'changed'")
    seen: list[int] = []
    unstage = staging.unstage
    with closing(sqlite3.connect(path)) as reader:

        def look_and_unstage(path: Path) -> None:
            changed = "SELECT count(*) FROM timeline WHERE type = 'changed'"
            seen.append(reader.execute(changed).fetchone()[0])
            unstage(path)

        monkeypatch.setattr(staging, "unstage", look_and_unstage)
        # when they are rebuilt
        rebuild(log, database)
    # then it sees old rows before, and new ones while the old ones still lie there
    assert seen == [len(log.events), 0]
