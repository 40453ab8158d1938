"""The database opens, migrates, refuses, and serves one writer and many readers."""

from __future__ import annotations

import pickle
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventstore.errors import (
    InvalidArgument,
    RunStoreError,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from projections import Database, open_database
from projections.migrations import APPLICATION_ID, Migration, migrate, migrations, statements

INSERT = "INSERT INTO meta (name, value) VALUES (?, ?)"
NAMES = "SELECT name FROM meta ORDER BY name"
NOBODY = 65_534


def test_a_new_database_has_every_migration_and_our_mark(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database, database.snapshot() as tx:
        assert tx.execute("PRAGMA user_version") == [(migrations()[-1].number,)]
        assert tx.execute("PRAGMA application_id") == [(APPLICATION_ID,)]
        assert tx.execute("PRAGMA journal_mode") == [("wal",)]


def test_migrations_are_numbered_from_one_without_gap() -> None:
    numbers = [step.number for step in migrations()]
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


def test_closing_lets_a_reader_finish(tmp_path: Path) -> None:
    database = open_database(tmp_path / "runs.db")
    with database.snapshot() as tx:
        database.close()
        assert tx.execute(NAMES) == []


def test_processes_that_open_a_new_database_at_once_make_one(tmp_path: Path) -> None:
    script = "import sys; from projections import open_database; open_database(sys.argv[1]).close()"
    command = [sys.executable, "-c", script, str(tmp_path / "runs.db")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(6)]
    assert [process.communicate()[1] for process in processes] == [b""] * 6
    with open_database(tmp_path / "runs.db") as database:
        assert names(database) == []


# What is no database of ours.


@pytest.mark.parametrize("content", [b"x", b"hello, this is a text\n" * 100, b"SQLite format 2"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreMismatch, match="no SQLite database"):
        open_database(path)
    with pytest.raises(StoreMismatch, match="no SQLite database"):
        open_database(path, read_only=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"]
)
def test_a_database_of_another_application_is_refused_and_left_alone(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "other.db"
    with_sqlite(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreMismatch, match="another application"):
        open_database(path)
    assert path.read_bytes() == before


def test_a_database_of_newer_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    open_database(path).close()
    with_sqlite(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreMismatch, match="schema 99") as caught:
        open_database(path)
    assert pickle.loads(pickle.dumps(caught.value)).found == 99  # noqa: S301 - our own bytes
    with pytest.raises(StoreMismatch, match="schema 99"):
        open_database(path, read_only=True)


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    open_database(path).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4_000)
    with pytest.raises(StoreMismatch, match="damaged"):
        open_database(path)


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="file"):
        open_database(":memory:")


# What the machine does not allow.


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerRefused, match="folder"):
        open_database(tmp_path / "missing" / "runs.db")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerRefused):
        open_database(tmp_path)
    with pytest.raises(ServerRefused):
        open_database(tmp_path, read_only=True)


def test_reading_what_is_not_there_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ServerRefused, match="no database"):
        open_database(tmp_path / "runs.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        write(database, "before")
        with database.transaction() as tx:
            ((pages,),) = tx.execute("PRAGMA page_count")
            tx.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(ServerRefused, match="disk is full"), database.transaction() as tx:
            tx.executemany(INSERT, ((str(n), "x" * 1_000) for n in range(100)))
        assert names(database) == ["before"]


def test_a_file_that_may_not_grow_is_a_clear_error(tmp_path: Path) -> None:
    database = open_database(tmp_path / "runs.db")
    write(database, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(ServerRefused), database.transaction() as tx:
            tx.executemany(INSERT, ((str(n), "x" * 1_000) for n in range(1_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(database) == ["before"]
    write(database, "later")
    database.close()


def test_a_read_only_folder_is_refused_to_write_and_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.db")
        with open_database(path) as database:
            write(database, "a")
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.split() == ["refused", "[('a',)]"], done.stderr


AS_NOBODY = f"""
import os, sys
from eventstore.errors import ServerRefused
from projections import open_database
from projections.migrations import migrations

migrations()
if os.geteuid() == 0:  # whom file rights do not bind
    os.setuid({NOBODY})
try:
    open_database(sys.argv[1])
except ServerRefused:
    print("refused")
with open_database(sys.argv[1], read_only=True) as database, database.snapshot() as tx:
    print(tx.execute({NAMES!r}))
"""


# Reading only.


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
    migrate(connection, path, migrations()[:1])
    connection.close()
    with pytest.raises(StoreMismatch, match="older schema"):
        open_database(path, read_only=True)
    open_database(path).close()
    open_database(path, read_only=True).close()


# Migrations.


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    connection = sqlite3.connect(path, isolation_level=None)
    good = Migration(1, "good", "CREATE TABLE a (x);\n")
    bad = Migration(2, "bad", "CREATE TABLE b (x);\nINSERT INTO missing VALUES (1);\n")
    with pytest.raises(sqlite3.OperationalError, match="missing"):
        migrate(connection, path, [good, bad])
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert (tables, connection.execute("PRAGMA user_version").fetchone()) == ([("a",)], (1,))
    connection.close()


def test_a_script_splits_into_statements_where_they_end() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n"
    script = f"-- a; comment\nCREATE TABLE a (\n  x TEXT DEFAULT ';'\n);\n{trigger}SELECT 1"
    found = list(statements(script))
    assert found[1:] == [trigger, "SELECT 1"]
    assert found[0].endswith(");\n")


# Every SQLite refusal.


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (sqlite3.SQLITE_BUSY, StoreUnavailable),
        (sqlite3.SQLITE_FULL, ServerRefused),
        (sqlite3.SQLITE_IOERR_WRITE, ServerRefused),
        (sqlite3.SQLITE_READONLY, ServerRefused),
        (sqlite3.SQLITE_CORRUPT, StoreMismatch),
    ],
)
def test_what_sqlite_refuses_becomes_an_error_of_the_one_tree(
    tmp_path: Path, code: int, error: type[RunStoreError]
) -> None:
    def refusing() -> Iterator[tuple[str, str]]:
        yield ("a", "1")
        refusal = sqlite3.OperationalError("no")
        refusal.sqlite_errorcode = code
        raise refusal

    with open_database(tmp_path / "runs.db") as database:
        with pytest.raises(error) as caught, database.transaction() as tx:
            tx.executemany(INSERT, refusing())
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert names(database) == []


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
