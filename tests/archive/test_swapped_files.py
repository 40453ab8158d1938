"""Files of an archive that are swapped or removed while somebody works with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from servers import AnyServer

from archive.filing import archived, fill, opened
from eventstore import StoreMismatch, SyncEventStore
from eventstore.archive import Archive, Archiver, verify

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


@pytest.fixture
def path(sync_store: SyncEventStore, tmp_path: Path) -> Path:
    """Give where the archive of a small store is to be."""
    fill(sync_store)
    return tmp_path / "a.db"


def test_a_reader_is_not_given_the_archive_of_another_store_in_its_place(
    path: Path, sync_store: SyncEventStore, server: AnyServer, tmp_path: Path
) -> None:
    archived(sync_store, path)
    with SyncEventStore.open(server.url, namespace="another") as other:
        fill(other, runs=2)
        archived(other, tmp_path / "other.db")
    server.forget("another")
    with opened(sync_store, path, read_only=True) as archive:
        copy = Path(shutil.copy(path, tmp_path / "copy.db"))
        before = archive.reached()
        (tmp_path / "other.db").replace(path)
        with pytest.raises(StoreMismatch, match="another store"):
            archive.run_page("run-1", 0, None, 9)
        copy.replace(path)
        assert archive.reached() == before


def events_of_good(path: Path) -> int:
    """Give how many events an archive holds in which all is as it was archived."""
    with Archive.look(path) as archive:
        found = verify(archive)
    assert (found.exit_code, found.findings) == (0, ())
    return found.events


def test_of_two_archivers_without_a_lock_between_them_one_ends(
    sync_store: SyncEventStore, path: Path
) -> None:
    with opened(sync_store, path) as first, Archiver(sync_store, first, batch_events=4) as one:
        one.run_once()
        path.with_name("a.db.lock").unlink()  # as somebody does who tidies up
        with opened(sync_store, path) as second, Archiver(sync_store, second) as two:
            two.run_once()
        with pytest.raises(StoreMismatch, match="another one writes to it"):
            one.run_once()
    assert events_of_good(path) == 30


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_an_archiver_stops_where_the_files_beside_its_archive_are_removed(
    sync_store: SyncEventStore, path: Path, end: str
) -> None:
    with opened(sync_store, path) as archive, Archiver(sync_store, archive, batch_events=4) as one:
        one.run_once()
        path.with_name(path.name + end).unlink()
        with pytest.raises(StoreMismatch, match="were removed while it was open"):
            one.run_once()
    archived(sync_store, path)
    assert events_of_good(path) == 30
