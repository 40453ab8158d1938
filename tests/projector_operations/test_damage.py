"""Damaged pages, a full disk, older and newer files: a clear state, and a way out."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from histories import ListLog
from survival.test_full_disk import small_disk  # noqa: F401 - a fixture

from eventstore.errors import ServerRefused, StoreMismatch
from eventstore.sqlite import Schema
from projections import Database, Projector, Runs, Timeline, open_database, rebuild, verify
from projections.aside import aside_path
from projections.database import SCHEMA
from projections.database.copies import set_aside
from projector_operations.samples import ALL, a_log, change, rows

PAGE_BYTES = 4_096


@pytest.fixture
def log() -> ListLog:
    return ListLog(a_log(60))


def damage(path: Path, table: str) -> None:
    """Write nonsense over the pages of a table, or of an index."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        )
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(b"\xaa" * PAGE_BYTES)


def test_a_damaged_page_is_told_by_readers_projector_and_verification_and_can_be_made_anew(
    log: ListLog, path: Path
) -> None:
    # given a database with a damaged page
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    whole = rows(path)
    damage(path, "timeline")
    # then whoever meets it says so, and what to do
    with open_database(path) as database:
        with pytest.raises(StoreMismatch, match=r"damaged.*rebuild --damaged"):
            Timeline(database).timeline("run-1")
        found = verify(log, database, projections=ALL[:1])
        assert found.differences[0].table == "(file)"
    # and set aside, everything is made anew
    kept = set_aside(path)
    assert kept.exists()
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    assert rows(path) == whole


def test_readers_of_a_database_that_was_set_aside_see_the_new_one(log: ListLog, path: Path) -> None:
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    with open_database(path, read_only=True) as reader:
        assert Runs(reader).totals().runs == 60
        set_aside(path)
        with open_database(path) as database, Projector(log, database, batch_events=5) as anew:
            anew.run_once()
            assert 0 < Runs(reader).totals().runs <= 5


def test_a_database_that_a_projector_writes_to_is_not_set_aside(
    log: ListLog, database: Database, path: Path
) -> None:
    with Projector(log, database, ALL) as projector:
        projector.run_once()
        with pytest.raises(StoreMismatch, match="another projector"):
            set_aside(path)


def test_a_damaged_index_is_found_by_verification(log: ListLog, path: Path) -> None:
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    damage(path, "shipments_by_amount")
    with open_database(path) as database:
        found = verify(log, database, ["shipments"], ALL)
        assert found.differences[0].table == "(file)"


def test_a_full_disk_ends_a_rebuild_and_the_old_rows_stand(
    log: ListLog,
    small_disk: Path,  # noqa: F811 - the fixture
) -> None:
    # given a disk that has room for little more than the rows
    path = small_disk / "runs.db"
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
        before = rows(path)
        filler = small_disk / "filler"
        free = shutil.disk_usage(small_disk).free
        filler.write_bytes(b"x" * (free - 150_000))
        # when it is rebuilt
        with pytest.raises(ServerRefused):
            rebuild(log, database, projections=ALL)
        # then the old rows stand, and with room again it ends well
        assert rows(path) == before
        filler.unlink()
        change(path, "DELETE FROM timeline")
        rebuild(log, database, projections=ALL)
        assert rows(path) == before
        assert not aside_path(path, "rebuild").exists()


# The schema.


@pytest.fixture
def older(path: Path) -> Path:
    """Give a database of older code, with something in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema = dataclasses.replace(SCHEMA)
        vars(schema)["steps"] = SCHEMA.steps[:4]
        schema.migrate(connection, path)
        connection.execute("INSERT INTO meta VALUES ('store', 'mine')")
    return path


def test_a_copy_is_kept_before_the_schema_changes(older: Path) -> None:
    open_database(older).close()
    kept = older.with_name("runs.db.schema-4")
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("PRAGMA user_version").fetchall() == [(4,)]
        assert copy.execute("SELECT value FROM meta").fetchall() == [("mine",)]
    # and none where nothing changes
    kept.unlink()
    open_database(older).close()
    assert not kept.exists()


def test_only_the_newest_copy_is_kept(older: Path) -> None:
    # given the copies of two schemas before, with content that may have been erased since, and
    # the copy of another database
    for name in ("runs.db.schema-2", "runs.db.schema-3", "other.db.schema-3"):
        older.with_name(name).write_bytes(b"content")
    # when the schema changes
    open_database(older).close()
    # then its own copy is the only one of this database
    kept = sorted(file.name for file in older.parent.glob("*.schema-*"))
    assert kept == ["other.db.schema-3", "runs.db.schema-4"]


def test_a_schema_that_cannot_be_changed_leaves_the_database_as_it_was(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ServerRefused("no")

    before = rows(older)
    monkeypatch.setattr(Schema, "migrate", fails)
    with pytest.raises(ServerRefused):
        open_database(older)
    assert rows(older) == before


def test_without_room_for_the_copy_nothing_is_changed(
    older: Path,
    small_disk: Path,  # noqa: F811 - the fixture
) -> None:
    path = small_disk / "runs.db"
    shutil.copy(older, path)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"x" * (free - 70_000))
    with pytest.raises(ServerRefused, match="disk"):
        open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(4,)]
    assert [one.name for one in small_disk.glob("*schema*")] == []


def test_the_rows_of_older_code_are_made_anew_by_the_projector(log: ListLog, path: Path) -> None:
    # given rows made by version 1 of the built-in projections
    with open_database(path) as database, Projector(log, database) as projector:
        projector.run_to_end()
    whole = rows(path)
    change(path, "UPDATE projections SET version = 0", "DELETE FROM runs", "DELETE FROM timeline")
    with open_database(path) as database, Projector(log, database) as projector:
        projector.run_to_end()
        assert {status.version for status in projector.status()} == {
            one.version for one in ALL[:3]
        } | {1, 2}
    assert rows(path) == whole
