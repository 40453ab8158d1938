"""Bytes of deleted runs in unused parts of memory and files: there before, and wiped."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from retention.ground import Ground
from samples import noted
from servers import Server

from erasure.conftest import MARKER, delete, speak
from eventstore import InvalidArgument, NewEvent
from projections import Projector, open_database
from replay import SnapshotFile, SyncTimeTravel
from replay.erasing import remains, wipe
from replay.erasing.places import Places

pytestmark = pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
RUNS = 60


@pytest.fixture
def ground(own_server: Server, tmp_path: Path) -> Iterator[Ground]:
    """Give a store of several partitions on a server whose dumps are not compressed."""
    own_server.admin.config_set("rdbcompression", "no")
    with Ground(own_server, "runs", tmp_path, partitions=8) as opened:
        yield opened


@contextmanager
def places(ground: Ground) -> Iterator[Places]:
    folder = ground.path.parent
    with (
        ground.opened_archive() as archive,
        open_database(folder / "runs.db") as database,
        SnapshotFile(folder / "snapshots.db") as snapshots,
    ):
        yield Places(ground.store, archive, database, snapshots)


def grow(ground: Ground) -> None:
    """Let many runs grow side by side, so that what a file holds is moved about in it."""
    chance = random.Random(7)
    for _ in range(40):
        for number in chance.sample(range(RUNS), 40):
            what = MARKER if number % 2 else "Octavian"
            text = f"{what} {chance.randbytes(chance.choice([20, 100, 1_000])).hex()}"
            saved = NewEvent("checkpoint.saved", {"state": {"text": text}, "resume_at": "here"})
            ground.store.append(f"run-{number}", [noted(text), saved])
        ground.archive()
        project(ground)


def project(ground: Ground) -> None:
    with (
        open_database(ground.path.parent / "runs.db") as database,
        Projector(ground.store, database) as projector,
    ):
        projector.run_to_end()
        projector.catch_up()


def shows(ground: Ground) -> set[str]:
    """Name the files, and the logs in the server's memory, that show the marker."""
    marker = MARKER.encode()
    files = ground.path.parent.iterdir()
    found = {file.name for file in files if marker in file.read_bytes()}
    keys, admin = ground.store.operations.keys, ground.server.admin
    logs = (keys.log(partition) for partition in range(keys.partitions))
    return found | {"log" for log in logs if marker in (admin.dump(log) or b"")}


def test_what_a_deletion_leaves_in_unused_space_is_wiped(ground: Ground) -> None:
    # given runs that were deleted and left every place, and bytes of them that did not
    grow(ground)
    with places(ground) as found:
        for number in range(1, RUNS, 2):
            delete(ground, f"run-{number}")
        ground.archive()
        project(ground)
        ground.trim(group_grace_ms=1)
        assert shows(ground) >= {"runs.archive.db", "runs.db", "log"}
        assert not remains(found, "run-1").is_gone
        # when they are wiped
        done = wipe(found)
        # then nothing shows them, and that is noted
        assert (done.runs, done.waiting, done.hindered) == (RUNS // 2, 0, ())
        assert shows(ground) == set()
        assert remains(found, "run-1").is_gone
        assert not remains(found, "run-2").is_gone
        assert wipe(found).runs == 0


def test_a_run_that_still_has_content_somewhere_is_not_taken_for_wiped(ground: Ground) -> None:
    # given a deleted run that a projector has not seen to
    speak(ground)
    ground.archive()
    project(ground)
    delete(ground)
    ground.archive()
    ground.trim(group_grace_ms=1)
    with places(ground) as found:
        # when wiping is tried
        done = wipe(found)
        # then it waits, and what it waits for is told
        assert (done.runs, done.waiting) == (0, 1)
        left = {trace.place for trace in remains(found, "secret").traces if trace.left}
        assert {"projections", "unused space"} <= left


def test_who_reads_meanwhile_hinders_it_and_that_is_told(ground: Ground) -> None:
    # given a reader in the middle of the archive
    speak(ground)
    delete(ground)
    ground.archive_and_trim()
    project(ground)
    with places(ground) as found, closing(sqlite3.connect(ground.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchone()
        # when wiping is tried
        done = wipe(found)
        # then it says so, and nothing counts as wiped before it is done again
        assert done.runs == 0
        assert any("reads the archive" in told for told in done.hindered)
        reader.execute("ROLLBACK")
        assert wipe(found).runs == 1


def test_without_an_archive_there_is_nothing_to_wipe(ground: Ground) -> None:
    with pytest.raises(InvalidArgument, match="archive"):
        wipe(Places(ground.store, None, None, None))


def test_forks_are_named_since_they_hold_copies(ground: Ground) -> None:
    # given a run with a fork, and a run that it started
    ground.store.append("secret", NewEvent("run.created", {"input": MARKER}))
    ground.store.append("child", NewEvent("run.created", {"parent": "secret"}))
    SyncTimeTravel(ground.store).fork("secret", 1, "copy")
    project(ground)
    with places(ground) as found:
        # then the fork is told to be left, and the other is not
        (forks,) = (one for one in remains(found, "secret").traces if one.place == "forks")
    assert (forks.left, "delete copy" in forks.detail) == (1, True)
