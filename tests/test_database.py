"""The database opens, migrates, and serves one writer and many readers."""

from __future__ import annotations

import dataclasses
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults import run_python
from small_database import INSERT, NAMES, names, write

from eventstore.errors import (
    InvalidArgument,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.sqlite import Schema
from eventstore.sqlite.schema import Migration, statements
from projections import open_database
from projections.database import SCHEMA


def schema_of(*steps: Migration) -> Schema:
    """Give the schema with other steps."""
    schema = dataclasses.replace(SCHEMA)
    vars(schema)["steps"] = steps
    return schema


def test_a_new_database_has_every_migration_and_our_mark(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database, database.snapshot() as tx:
        assert tx.execute("PRAGMA user_version") == [(SCHEMA.steps[-1].number,)]
        assert tx.execute("PRAGMA application_id") == [(SCHEMA.application_id,)]
        assert tx.execute("PRAGMA journal_mode") == [("wal",)]


def test_migrations_are_numbered_from_one_without_gap() -> None:
    numbers = [step.number for step in SCHEMA.steps]
    assert numbers == list(range(1, len(numbers) + 1))


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        write(database, "a")
        files = sorted(tmp_path.iterdir())
        assert [file.name for file in files] == ["runs.db", "runs.db-shm", "runs.db-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_what_was_committed_is_there_when_opened_again(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        write(database, "a")
    with open_database(tmp_path / "runs.db") as database:
        assert names(database) == ["a"]


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        with pytest.raises(KeyError):
            write(database, "a", then=KeyError())
        assert names(database) == []
        write(database, "b")
        assert names(database) == ["b"]


def test_a_snapshot_sees_one_moment(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        with database.snapshot() as before:
            assert before.execute(NAMES) == []
            write(database, "a")
            assert before.execute(NAMES) == []
        assert names(database) == ["a"]


def test_a_snapshot_cannot_write(tmp_path: Path) -> None:
    with (
        open_database(tmp_path / "runs.db") as database,
        database.snapshot() as tx,
        pytest.raises(ServerRefused),
    ):
        tx.execute(INSERT, ("a", "1"))


def test_any_thread_may_read_and_write(tmp_path: Path) -> None:
    def work(number: int) -> int:
        write(database, f"n{number:03}")
        return len(names(database))

    with open_database(tmp_path / "runs.db", max_readers=2) as database:
        with ThreadPoolExecutor(8) as threads:
            seen = list(threads.map(work, range(100)))
        assert len(names(database)) == 100
        assert min(seen) >= 1


def test_readers_in_use_are_waited_for_only_so_long(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with (
        open_database(path, max_readers=1, busy_timeout_ms=20) as database,
        database.snapshot(),
        pytest.raises(StoreUnavailable, match="max_readers"),
    ):
        names(database)


def test_another_process_that_writes_is_waited_for_only_so_long(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_database(path) as other, open_database(path, busy_timeout_ms=20) as database:
        with other.transaction(), pytest.raises(StoreUnavailable, match="another process"):
            write(database, "a")
        write(database, "a")


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = open_database(tmp_path / "runs.db")
    database.close()
    database.close()
    with pytest.raises(InvalidArgument, match="closed"):
        names(database)
    with pytest.raises(InvalidArgument, match="closed"):
        write(database, "a")


def test_closing_lets_a_reader_finish_and_then_closes_it(tmp_path: Path) -> None:
    database = open_database(tmp_path / "runs.db")
    with database.snapshot() as tx:
        database.close()
        assert tx.execute(NAMES) == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        tx.execute(NAMES)


def test_a_database_that_was_closed_is_one_file(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        write(database, "a")
        assert names(database) == ["a"]
    assert [file.name for file in tmp_path.iterdir()] == ["runs.db"]


def test_processes_that_open_a_new_database_at_once_make_one(tmp_path: Path) -> None:
    script = "import sys; from projections import open_database; open_database(sys.argv[1]).close()"
    command = [sys.executable, "-c", script, str(tmp_path / "runs.db")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(6)]
    assert [process.communicate()[1] for process in processes] == [b""] * 6
    with open_database(tmp_path / "runs.db") as database:
        assert names(database) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_opening_a_file_again_takes_no_lock_from_who_has_it_open(
    tmp_path: Path, read_only: bool
) -> None:
    """Else another process, taking itself for the last, removes the log that is written to."""
    path = tmp_path / "runs.db"
    with open_database(path) as database:
        write(database, "a")
        # when the same process opens the file once more, and another one comes and goes
        open_database(path, read_only=read_only).close()
        run_python("import projections, sys; projections.open_database(sys.argv[1]).close()", path)
        write(database, "b")
        # then everybody sees what was written since
        with open_database(path, read_only=True) as reader:
            assert names(reader) == ["a", "b"]


def test_a_database_opened_to_read_refuses_to_write(tmp_path: Path) -> None:
    open_database(tmp_path / "runs.db").close()
    with open_database(tmp_path / "runs.db", read_only=True) as database:
        assert names(database) == []
        with pytest.raises(ServerRefused, match="read only"):
            write(database, "a")


def test_a_reader_sees_what_another_connection_commits(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_database(path) as writer, open_database(path, read_only=True) as reader:
        write(writer, "a")
        assert names(reader) == ["a"]


def test_a_database_of_older_code_is_refused_to_read_until_it_is_brought_up_to_date(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    connection = sqlite3.connect(path, isolation_level=None)
    schema_of(*SCHEMA.steps[:1]).migrate(connection, path)
    connection.close()
    with pytest.raises(StoreMismatch, match="older schema"):
        open_database(path, read_only=True)
    open_database(path).close()
    open_database(path, read_only=True).close()


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    connection = sqlite3.connect(path, isolation_level=None)
    good = Migration(1, "good", "CREATE TABLE a (x);\n")
    bad = Migration(2, "bad", "CREATE TABLE b (x);\nINSERT INTO missing VALUES (1);\n")
    with pytest.raises(sqlite3.OperationalError, match="missing"):
        schema_of(good, bad).migrate(connection, path)
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert (tables, connection.execute("PRAGMA user_version").fetchone()) == ([("a",)], (1,))
    connection.close()


def test_opening_waits_for_another_process_that_makes_the_database(tmp_path: Path) -> None:
    # given another process that holds the new database's write lock
    path = tmp_path / "runs.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # when it is opened, then that waits until the lock is free
    with ThreadPoolExecutor() as threads:
        opening = threads.submit(open_database, path)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.1)
        other.execute("COMMIT")
        opening.result().close()
    other.close()


def test_a_migration_that_another_process_takes_meanwhile_is_not_taken_twice(
    tmp_path: Path,
) -> None:
    # given another process that is about to commit the first migration
    path = tmp_path / "runs.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = WAL")
    taking = threading.Event()
    other.create_function("told", 0, taking.set)
    done = threading.Event()
    other.create_function("wait", 0, lambda: done.wait(10))
    table = "CREATE TABLE a (x);\n"
    slow = Migration(1, "slow", f"{table}SELECT told();\nSELECT wait();\n")
    mine = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with ThreadPoolExecutor() as threads:
        theirs = threads.submit(schema_of(slow).migrate, other, path)
        assert taking.wait(10)
        # when this one wants the same
        same = schema_of(Migration(1, "same", table))
        ours = threads.submit(same.migrate, mine, path)
        with pytest.raises(TimeoutError):
            ours.result(timeout=0.1)
        done.set()
        # then it finds it done
        theirs.result()
        ours.result()
    assert mine.execute("SELECT count(*) FROM a").fetchall() == [(0,)]
    mine.close()
    other.close()


def test_a_script_splits_into_statements_where_they_end() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n"
    script = f"-- a; comment\nCREATE TABLE a (\n  x TEXT DEFAULT ';'\n);\n{trigger}SELECT 1"
    found = list(statements(script))
    assert found[1:] == [trigger, "SELECT 1"]
    assert found[0].endswith(");\n")
