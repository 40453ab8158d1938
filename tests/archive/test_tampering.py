"""Somebody with SQL or a hex editor is found out, or told that it cannot be checked: no crash."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from samples import deleted, noted
from servers import AnyServer

from archive.filing import KEY, archived, ask, fill, opened, tamper
from eventstore import CorruptEvent, Position, RunStoreError, StoreMismatch, SyncEventStore
from eventstore.archive import Archive, Verification, archive_status, verify
from eventstore.archive.binding import Binding
from eventstore.archive.recovery import lost, lost_events
from eventstore.retention import Trimmer

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

RUNS = [f"run-{number}" for number in range(6)]
RUN_1 = "run = (SELECT id FROM runs WHERE run_id = 'run-1')"
SET_ASIDE = f"""
INSERT INTO lost_events SELECT ?, place, ms, 'run-1', version, event, checksum, append_id,
workflow_id, digest, chain FROM events WHERE {RUN_1} AND version = 3
"""


@pytest.fixture
def path(sync_store: SyncEventStore, tmp_path: Path) -> Path:
    """Give an archive of signed seals, with one run that was deleted and erased."""
    fill(sync_store)
    sync_store.append("run-0", deleted())
    archived(sync_store, tmp_path / "a.db", seal_key=KEY, batch_events=4)
    return tmp_path / "a.db"


def verified(path: Path, **options: Any) -> Verification:
    with Archive.look(path) as archive:
        return verify(archive, key=KEY, **options)


def everything(path: Path, store: SyncEventStore) -> object:
    """Read all there is, as readers do: along the log, and run by run."""
    with opened(store, path, read_only=True) as archive:
        logs = [archive.log_page(Position(p, 0, 0), 99) for p in archive.reached()]
        return logs, [archive.run_page(run, 0, None, 99) for run in RUNS]


def outcome(action: Callable[[], Any]) -> Any:
    """Give what comes out of it, or the refusal; all else is a failure."""
    try:
        return action()
    except RunStoreError as refused:
        return refused


def test_an_event_that_was_set_aside_without_an_acceptance_is_named(path: Path) -> None:
    tamper(path, SET_ASIDE, (999,))
    tamper(path, f"DELETE FROM events WHERE {RUN_1} AND version = 3")
    (found,) = verified(path).findings
    assert (found.what, found.run_id, found.version) == ("moved", "run-1", 3)


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE runs SET state = 'closed' WHERE run_id = 'run-1'", "counts as 'closed'"),
        ("UPDATE runs SET state = 'deleted' WHERE run_id = 'run-1'", "counts as 'deleted'"),
        ("UPDATE runs SET state = 'open' WHERE run_id = 'run-3'", "counts as 'open'"),
        ("DELETE FROM erasures", "erasure"),
        ("UPDATE erasures SET version = 2", "erasure"),
        ("INSERT INTO erasures VALUES ('run-1', 4, 5, NULL)", "erasure"),
        ("UPDATE facts SET value = 'another' WHERE name = 'namespace'", "belongs to"),
        ("UPDATE facts SET value = '17' WHERE name = 'partitions'", "belongs to"),
        ("UPDATE facts SET value = 'another' WHERE name = 'store_id'", "belongs to"),
        ("INSERT INTO runs VALUES (-9, 'ghost', 0, x'00', 'open', NULL, 0, 0)", "nothing is"),
        ("INSERT INTO runs VALUES (-9, 'ghost', 1, x'00', 'open', NULL, 0, 0)", "it is not there"),
    ],
)
def test_what_is_kept_of_runs_and_of_the_store_is_checked_against_the_events(
    path: Path, statement: str, detail: str
) -> None:
    assert tamper(path, statement) == 1
    assert [one.detail for one in verified(path).findings if detail in one.detail]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seals SET fingerprints = 5, heads = zeroblob(32)",
        "UPDATE seals SET hash = 'text' WHERE sequence = 2",
        "UPDATE seals SET signature = 5 WHERE sequence = 2",
        """UPDATE seals SET positions = '{"0":"1-99999999999999999999"}' WHERE sequence = 2""",
        """UPDATE seals SET positions = '{"99999999999":"1-9"}' WHERE sequence = 2""",
        """UPDATE seals SET positions = '{"-1":"1-9"}' WHERE sequence = 2""",
        "UPDATE seals SET note = CAST(x'ff' AS TEXT) WHERE sequence = 2",
        f"UPDATE events SET checksum = CAST(x'ff' AS TEXT) WHERE {RUN_1} AND version = 3",
        f"UPDATE events SET version = 'x' WHERE {RUN_1} AND version = 3",
        f"UPDATE events SET version = 3.5 WHERE {RUN_1} AND version = 3",
        f"UPDATE events SET version = 9e18 WHERE {RUN_1} AND version = 5",
        f"UPDATE events SET ms = -1 WHERE {RUN_1} AND version = 3",
        f"UPDATE events SET workflow_id = x'00' WHERE {RUN_1} AND version = 3",
        "UPDATE runs SET run_id = x'00ff' WHERE run_id = 'run-1'",
        "UPDATE runs SET version = 'x' WHERE run_id = 'run-1'",
        "UPDATE positions SET n = 'x'",
        "INSERT INTO positions VALUES (99, 5, 5)",
        "DROP INDEX events_of_run",
        "DROP TABLE erasures",
        "CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM runs; END",
    ],
)
def test_what_cannot_be_is_found_or_refused_and_crashes_nobody(
    path: Path, sync_store: SyncEventStore, statement: str
) -> None:
    assert tamper(path, statement)  # -1 where the tables themselves are changed
    for options in ({}, {"store": sync_store}):
        found = outcome(lambda options=options: verified(path, **options))
        assert isinstance(found, StoreMismatch) or found.exit_code == 1
    outcome(lambda: everything(path, sync_store))
    outcome(lambda: Trimmer(sync_store, path).run_once())
    outcome(lambda: archived(sync_store, path, seal_key=KEY))


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(
    path: Path, sync_store: SyncEventStore, tmp_path: Path
) -> None:
    whole, known = path.read_bytes(), everything(path, sync_store)
    seed = random.randrange(2**32)
    dice, wrong = random.Random(seed), 0
    for number in range(200):
        copy = tmp_path / f"{number}.db"
        flipped = bytearray(whole)
        flipped[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        copy.write_bytes(flipped)
        found = outcome(lambda copy=copy: verified(copy))
        if isinstance(found, Verification) and not found.exit_code:
            assert everything(copy, sync_store) == known, f"seed {seed}, flip {number}"
        else:
            wrong += 1
            outcome(lambda copy=copy: everything(copy, sync_store))
        copy.unlink()
    assert wrong  # else nothing was hit


def test_an_index_that_hides_an_event_is_found(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        hidden = "CREATE UNIQUE INDEX events_of_run ON events (run, version) WHERE version <> 3"
        kept = "CREATE UNIQUE INDEX events_of_run ON events (run, version)"
        connection.execute("DROP INDEX events_of_run")
        connection.execute(hidden)
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE sql = ?", (kept, hidden))
        connection.commit()
    found = verified(path)
    assert [one for one in found.findings if "damaged" in one.detail]


def test_a_text_where_bytes_were_is_a_corrupt_event_to_readers(
    path: Path, sync_store: SyncEventStore
) -> None:
    """``replace`` in SQL makes a text of what was a blob."""
    tamper(path, f"UPDATE events SET event = replace(event, 'n', 'm') WHERE {RUN_1}")
    assert {kind for (kind,) in ask(path, f"SELECT typeof(event) FROM events WHERE {RUN_1}")} == {
        "text"
    }
    with opened(sync_store, path) as archive, pytest.raises(CorruptEvent, match="another kind"):
        archive.run_page("run-1", 0, None, 9)


def test_what_is_archived_and_trimmed_while_it_is_compared_is_no_finding(
    sync_store: SyncEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    sync_store.append("run", noted())
    archived(sync_store, path)
    with opened(sync_store, path, read_only=True) as archive:
        reached, asked = Archive.reached, []

        def reached_and_gone_on(self: Archive) -> dict[int, Position]:
            known = reached(self)
            if self is archive and not asked:
                asked.append(1)
                for _ in range(5):
                    sync_store.append("run", noted())
                archived(sync_store, path)
                Trimmer(sync_store, path).run_once()
            return known

        monkeypatch.setattr(Archive, "reached", reached_and_gone_on)
        found = verify(archive, store=sync_store)
    assert (asked, found.findings) == ([1], ())


@pytest.mark.parametrize("left", [0, 2])
def test_what_was_trimmed_by_hand_before_it_was_archived_is_told(
    sync_store: SyncEventStore, tmp_path: Path, server: AnyServer, left: int
) -> None:
    sync_store.append("run", [noted(), noted()])
    archived(sync_store, tmp_path / "a.db")
    sync_store.append("run", [noted() for _ in range(5)])
    keys = sync_store.operations.keys
    server.admin.xtrim(keys.log(keys.partition_of("run")), maxlen=left, approximate=False)
    with opened(sync_store, tmp_path / "a.db") as archive:
        (found,) = verify(archive, store=sync_store).findings
    assert found.detail == f"entries 3 to {7 - left} are in neither archive nor log"


def test_status_and_losses_of_a_changed_file_are_told_without_a_crash(
    path: Path, sync_store: SyncEventStore, server: AnyServer
) -> None:
    tamper(path, "INSERT OR REPLACE INTO facts VALUES ('state_since_ms', 'long ago')")
    tamper(path, "UPDATE seals SET at_ms = 9e18, hash = 'x'")
    with opened(sync_store, path) as archive:
        status = archive_status(archive)
        assert (status.since_ms, status.sealed_ms, status.events) == (None, None, 31)
    tamper(path, "UPDATE events SET event = CAST('{}' AS BLOB) WHERE event IS NOT NULL")
    keys = sync_store.operations.keys
    server.admin.delete(keys.log(keys.partition_of("run-1")), keys.tail(keys.partition_of("run-1")))
    with opened(sync_store, path) as archive:
        losses = lost(archive, sync_store)
        with pytest.raises(CorruptEvent):
            list(lost_events(archive, losses))


def test_an_archive_that_names_its_store_alone_is_good_and_still_bound_to_it(
    sync_store: SyncEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As archives were made at first."""
    path = tmp_path / "a.db"
    with monkeypatch.context() as before:
        before.setattr(Binding, "origin", property(lambda self: self.store_id))
        fill(sync_store)
        archived(sync_store, path, seal_key=KEY)
    assert verified(path, store=sync_store).exit_code == 0
    tamper(path, "UPDATE facts SET value = 'another' WHERE name = 'store_id'")
    assert [one.what for one in verified(path).findings] == ["changed"]
