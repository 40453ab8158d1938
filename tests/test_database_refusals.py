"""What is no database of ours, and what the machine does not allow, are clear errors."""

from __future__ import annotations

import pickle
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_database import INSERT, NAMES, NOBODY, names, with_sqlite, write

from eventstore.errors import (
    InvalidArgument,
    RunStoreError,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from projections import open_database


@pytest.mark.parametrize("content", [b"x", b"hello, this is a text\n" * 100, b"SQLite format 2"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StoreMismatch, match=r"no SQLite database.* rebuild --damaged"):
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
from projections.database import SCHEMA

SCHEMA.steps
if os.geteuid() == 0:  # whom file rights do not bind
    os.setuid({NOBODY})
try:
    open_database(sys.argv[1])
except ServerRefused:
    print("refused")
with open_database(sys.argv[1], read_only=True) as database, database.snapshot() as tx:
    print(tx.execute({NAMES!r}))
"""


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
