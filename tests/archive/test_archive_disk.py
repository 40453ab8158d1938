"""A full disk under the archive: told, nothing half written, and it goes on when there is room."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import missing
from faults import eventually
from samples import noted

from archive.filing import KEY, archived, opened
from eventstore import ServerRefused, SyncEventStore
from eventstore.archive import Archiver, archive_status, verify
from eventstore.retention import Trimmer, TrimReport

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

SIZE_BYTES = 4 * 1_048_576


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "none", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        missing("mount", PermissionError("file systems cannot be mounted here"))
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(disk: Path) -> None:
    """Leave no room at all."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4_096):
                pass
        except OSError:
            return


def test_the_archiver_waits_for_room_and_goes_on(
    sync_store: SyncEventStore, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given an archiver that follows
    stop = threading.Event()
    with (
        opened(sync_store, disk / "a.db") as archive,
        Archiver(sync_store, archive, seal_key=KEY, retry_pause_ms=10) as archiver,
        caplog.at_level(logging.WARNING, "runstore.archive"),
    ):
        sync_store.append("run", noted("before"))
        archiver.run_to_end()
        reached = archive.reached()
        thread = threading.Thread(target=archiver.run, args=(stop,))
        thread.start()
        try:
            # when the disk is full
            fill_up(disk)
            for _ in range(100):
                sync_store.append("run", noted("x" * 10_000))

            # then it says so, and nothing counts as archived that is not on the disk
            eventually(lambda: "disk" in archive_status(archive).saying)
            assert archive.reached() == reached
            assert verify(archive, key=KEY).events == 1
            assert "tries again" in caplog.text

            # and with room it goes on
            (disk / "filler").unlink()
            eventually(lambda: archive.reached() == sync_store.tails())
            eventually(lambda: not archive_status(archive).saying)
        finally:
            stop.set()
            thread.join()
        found = verify(archive, key=KEY, store=sync_store)
        assert (found.exit_code, found.events, found.compared) == (0, 101, 101)


def test_a_batch_that_does_not_fit_leaves_nothing(sync_store: SyncEventStore, disk: Path) -> None:
    for _ in range(600):
        sync_store.append("run", noted("x" * 10_000))
    with opened(sync_store, disk / "a.db") as archive, Archiver(sync_store, archive) as archiver:
        with pytest.raises(ServerRefused, match="disk"):
            archiver.run_to_end()
        assert verify(archive).exit_code == 0
        assert archive.reached()[sync_store.load("run")[0].position.partition].n == 0


def test_an_archive_that_cannot_be_made_leaves_nothing(
    sync_store: SyncEventStore, disk: Path
) -> None:
    fill_up(disk)
    with pytest.raises(ServerRefused):
        opened(sync_store, disk / "a.db")
    assert [file.name for file in disk.iterdir()] == ["filler"]


def test_however_little_room_there_was_it_goes_on_when_there_is_more(
    sync_store: SyncEventStore, disk: Path
) -> None:
    path, room, filler = disk / "a.db", disk / "room", disk / "filler"
    sync_store.append("run", [noted("x" * 2_000) for _ in range(20)])
    refused = 0
    for pages in range(0, 80, 2):
        # given room for so many pages, and an archiver that is to make the archive there
        room.write_bytes(b"x" * 4_096 * pages)
        fill_up(disk)
        room.unlink()
        try:
            archived(sync_store, path, seal_key=KEY, batch_events=5)
        except ServerRefused:
            refused += 1

        # when there is more, then all is archived
        filler.unlink()
        archived(sync_store, path, seal_key=KEY, batch_events=5)
        with opened(sync_store, path) as archive:
            found = verify(archive, key=KEY, store=sync_store)
        assert (found.findings, found.events) == ((), 20), f"room for {pages} pages"
        path.unlink()
    assert refused  # else the disk was never full


def test_a_trimmer_that_follows_waits_for_room_as_well(
    sync_store: SyncEventStore, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, stop, reports = disk / "a.db", threading.Event(), list[TrimReport]()
    sync_store.append("run", [noted(), noted()])
    archived(sync_store, path)
    fill_up(disk)
    trimmer = Trimmer(sync_store, path)
    thread = threading.Thread(target=trimmer.run, args=(stop, 10, reports.append))
    with caplog.at_level(logging.WARNING, "runstore.retention"):
        thread.start()
        try:
            eventually(lambda: "check disk space" in caplog.text)
            assert not reports
            (disk / "filler").unlink()
            eventually(lambda: reports)
        finally:
            stop.set()
            thread.join()
    assert reports[0].trimmed == 1
