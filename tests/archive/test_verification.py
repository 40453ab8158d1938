"""Whatever somebody does to an archive's file, `verify` finds it and names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import noted
from servers import AnyServer

from archive.filing import KEY, archived, ask, fill, tamper
from eventstore import InvalidArgument, Position, StoreMismatch, SyncEventStore
from eventstore.archive import Archive, Verification, verify
from eventstore.archive.chain import digest_of, next_link
from eventstore.archive.layout import position_at
from eventstore.archive.seals import last_seal
from eventstore.codec import append_prefix, crc_of

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

ROW_3_OF_RUN_1 = "run = (SELECT id FROM runs WHERE run_id = 'run-1') AND version = 3"


@pytest.fixture
def path(sync_store: SyncEventStore, tmp_path: Path) -> Path:
    """Give the archive of a small store, of signed seals of four events each."""
    fill(sync_store)
    assert archived(sync_store, tmp_path / "a.db", seal_key=KEY, batch_events=4) == 30
    return tmp_path / "a.db"


def verified(path: Path, key: bytes | None = KEY, **options: object) -> Verification:
    with Archive.look(path) as archive:
        return verify(archive, key=key, **options)  # type: ignore[arg-type]


def named(found: Verification) -> list[tuple[str, str | None, int | None]]:
    return [(one.what, one.run_id, one.version) for one in found.findings]


def position(path: Path, row: str) -> str:
    ((place, ms),) = ask(path, f"SELECT place, ms FROM events WHERE {row}")
    return str(position_at(place, ms))


def test_an_archive_that_nobody_touched_is_good(path: Path, sync_store: SyncEventStore) -> None:
    found = verified(path, store=sync_store)
    assert (found.findings, found.signatures, found.exit_code) == ((), "good", 0)
    assert (found.events, found.runs, found.compared) == (30, 6, 30)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ("event = CAST(replace(CAST(event AS TEXT), '1.3', '9.9') AS BLOB)", "its content is not"),
        ("event = NULL", "its content is gone"),
        ("digest = zeroblob(32)", "its content is not"),
        ("digest = 'text'", "what is kept of it"),
        ("event = CAST(event AS TEXT)", "what is kept of it"),
        ("ms = 'x'", "what is kept of it"),
        ("chain = zeroblob(32)", "the chain of its run"),
        ("checksum = '00000000'", "its checksum"),
        ("append_id = 'other'", "its checksum"),
        ("workflow_id = 'other'", "its checksum"),
        ("ms = ms + 1", "its checksum"),
    ],
)
def test_a_changed_event_is_named(path: Path, change: str, detail: str) -> None:
    assert tamper(path, f"UPDATE events SET {change} WHERE {ROW_3_OF_RUN_1}") == 1
    found = verified(path)
    assert found.exit_code == 1
    assert ("run-1", 3) in [(one.run_id, one.version) for one in found.findings]
    assert found.findings[0].position == position(path, ROW_3_OF_RUN_1)
    assert found.findings[0].detail.startswith(detail)


def test_a_removed_event_is_named_with_its_place(path: Path) -> None:
    place = position(path, ROW_3_OF_RUN_1)
    tamper(path, f"DELETE FROM events WHERE {ROW_3_OF_RUN_1}")
    found = verified(path)
    assert named(found) == [("removed", "run-1", 3)]
    partition, n = place.split(":")[0], place.split("-")[1]
    assert found.findings[0].position == f"{partition}:?-{n}"


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_run_cut_anywhere_names_each_event_that_is_gone(path: Path, first: int) -> None:
    run = "run = (SELECT id FROM runs WHERE run_id = 'run-2')"
    tamper(path, f"DELETE FROM events WHERE {run} AND version >= ?", (first,))
    found = verified(path)
    assert named(found) == [("removed", "run-2", version) for version in range(first, 6)]
    assert all(one.position for one in found.findings)


def test_an_added_event_is_named(path: Path) -> None:
    tamper(
        path,
        "INSERT INTO events SELECT max(place) + 1, ms, run, version + 1, event, checksum, "
        "append_id, workflow_id, digest, chain FROM events",
    )
    found = verified(path)
    ((run_id, version),) = ask(
        path, "SELECT run_id, e.version FROM events e JOIN runs r ON r.id = run "
        "ORDER BY place DESC LIMIT 1"
    )  # fmt: skip
    assert ("added", run_id, version) in named(found)


def test_a_whole_run_that_was_added_is_named(path: Path) -> None:
    ((place, chain),) = ask(path, "SELECT max(place), chain FROM events")
    tamper(
        path,
        "INSERT INTO runs SELECT 99, 'forged', 1, ?, 'open', NULL, 0, 0",
        (chain,),
    )
    tamper(
        path,
        "INSERT INTO events SELECT place + 1, ms, 99, 1, event, checksum, append_id, workflow_id, "
        "digest, chain FROM events WHERE place = ?",
        (place,),
    )
    found = named(verified(path))
    assert ("added", "forged", 1) in found
    assert {run_id for _, run_id, _ in found} == {"forged"}


@pytest.mark.parametrize("place", [0, -5, 2**47 * 16 + 1, 2**47 * 3 - 1])
def test_an_event_added_where_none_can_be_is_found(path: Path, place: int) -> None:
    tamper(
        path,
        "INSERT INTO events SELECT ?, ms, run, 99, event, checksum, append_id, workflow_id, "
        "digest, chain FROM events LIMIT 1",
        (place,),
    )
    assert "added" in [one.what for one in verified(path).findings]


def test_two_events_that_changed_places_are_named(path: Path) -> None:
    (one, two) = ask(path, "SELECT place, version FROM events WHERE run = 2 LIMIT 2")
    for old, new in ((one[0], -1), (two[0], one[0]), (-1, two[0])):
        tamper(path, "UPDATE events SET place = ? WHERE place = ?", (new, old))
    versions = {v for _, run_id, v in named(verified(path)) if run_id}
    assert {one[1], two[1]} <= versions


def test_a_truncated_tail_is_found(path: Path) -> None:
    count = tamper(path, "DELETE FROM events WHERE place IN (SELECT max(place) FROM events)")
    assert (count, [one.what for one in verified(path).findings]) == (1, ["removed"])


def test_a_run_removed_whole_is_found(path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE run = 3")
    tamper(path, "DELETE FROM runs WHERE id = 3")
    found = verified(path)
    assert [one.what for one in found.findings] == ["removed"] * 5
    assert all(one.position for one in found.findings)


def test_a_run_whose_chain_was_made_anew_is_named(path: Path) -> None:
    # given somebody who changed an event, and knows how checksums, digests and chains are made
    ((run,),) = ask(path, "SELECT id FROM runs WHERE run_id = 'run-1'")
    rows = ask(path, "SELECT * FROM events WHERE run = ? ORDER BY version", (run,))
    chain = rows[1][9]
    for place, ms, _, version, event, _, append_id, workflow_id, _, _ in rows[2:]:
        content, at = event.replace(b"1.3", b"9.9"), position_at(place, ms)
        chain = next_link(chain, digest_of(content), version, at, append_id, workflow_id)
        made = (content, _checksum(at, version, content, append_id), digest_of(content), chain)
        tamper(
            path,
            "UPDATE events SET event = ?, checksum = ?, digest = ?, chain = ? WHERE place = ?",
            (*made, place),
        )
    tamper(path, "UPDATE runs SET chain = ? WHERE id = ?", (chain, run))

    found = verified(path)

    assert {one.run_id for one in found.findings} == {"run-1"}
    assert min(one.version or 0 for one in found.findings) == 3
    assert all("sealed" in one.detail for one in found.findings)


def _checksum(at: Position, version: int, event: bytes, append_id: str) -> str:
    crc = crc_of(append_prefix(b"run-1", append_id.encode()), event)
    return f"{(crc + 65537 * version + 257 * at.n + at.ms) & 0xFFFFFFFF:08x}"


# Runs, positions and seals.


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET version = 4 WHERE id = 2",
        "UPDATE runs SET version = 9 WHERE id = 2",
        "UPDATE runs SET chain = zeroblob(32) WHERE id = 2",
        "UPDATE runs SET run_id = 'renamed' WHERE id = 2",
        "DELETE FROM runs WHERE id = 2",
        "DELETE FROM positions WHERE partition_no = (SELECT min(partition_no) FROM positions)",
        "UPDATE positions SET n = n - 1",
        "UPDATE seals SET at_ms = at_ms + 1 WHERE sequence = 3",
        "UPDATE seals SET events = events + 1 WHERE sequence = 3",
        "UPDATE seals SET heads = zeroblob(32) WHERE sequence = 3",
        "UPDATE seals SET fingerprints = zeroblob(8) WHERE sequence = 3",
        "UPDATE seals SET positions = '{}' WHERE sequence = 3",
        "UPDATE seals SET positions = 'x' WHERE sequence = 3",
        "UPDATE seals SET note = 'x' WHERE sequence = 3",
        "UPDATE seals SET hash = zeroblob(32) WHERE sequence = 3",
        "UPDATE seals SET signature = zeroblob(32) WHERE sequence = 3",
        "UPDATE seals SET signature = NULL WHERE sequence = 3",
        "DELETE FROM seals WHERE sequence = 3",
        "DELETE FROM seals WHERE sequence = 1",
        "DELETE FROM seals WHERE sequence = (SELECT max(sequence) FROM seals)",
        "DELETE FROM seals",
        "UPDATE facts SET value = 'other' WHERE name = 'origin'",
    ],
)
def test_a_change_to_what_is_kept_beside_the_events_is_found(path: Path, statement: str) -> None:
    assert tamper(path, statement) > 0
    assert verified(path).exit_code == 1


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_seal_that_was_removed_or_forged_is_named(path: Path, sequence: int) -> None:
    with Archive.look(path) as archive, archive.database.snapshot() as tx:
        seal = last_seal(tx)
    assert seal is not None
    tamper(path, "UPDATE seals SET signature = ? WHERE sequence = ?", (b"x" * 32, sequence))
    assert [(one.what, one.seal) for one in verified(path).findings] == [("forged", sequence)]
    tamper(path, "DELETE FROM seals WHERE sequence = ?", (sequence,))
    assert ("removed", sequence) in [(one.what, one.seal) for one in verified(path).findings]


def test_a_missing_and_a_wrong_key_are_outcomes_of_their_own(path: Path) -> None:
    missing, wrong = verified(path, None), verified(path, b"w" * 32)
    assert (missing.signatures, missing.exit_code, missing.findings) == ("key missing", 2, ())
    assert (wrong.signatures, wrong.exit_code, wrong.findings) == ("wrong key", 2, ())


def test_a_key_for_seals_that_were_never_signed_proves_nothing(
    sync_store: SyncEventStore, tmp_path: Path
) -> None:
    fill(sync_store)
    archived(sync_store, tmp_path / "u.db")
    assert (
        verified(tmp_path / "u.db", None).signatures,
        verified(tmp_path / "u.db").exit_code,
    ) == (
        "unsigned",
        2,
    )


def test_signing_may_begin_later(sync_store: SyncEventStore, tmp_path: Path) -> None:
    path = tmp_path / "u.db"
    fill(sync_store)
    archived(sync_store, path)
    sync_store.append("run-1", noted("more"))
    with pytest.raises(InvalidArgument, match="begin-signing"):
        archived(sync_store, path, seal_key=KEY)
    archived(sync_store, path, seal_key=KEY, begin_signing=True)
    found = verified(path)
    assert (found.signatures, found.exit_code, found.unsigned_seals) == ("good", 0, 1)
    sync_store.append("run-1", noted("more"))
    assert archived(sync_store, path, seal_key=KEY) == 1


def test_nobody_makes_the_archiver_sign_what_lost_its_signatures(
    path: Path, sync_store: SyncEventStore
) -> None:
    tamper(path, "UPDATE seals SET signature = NULL")
    sync_store.append("run-1", noted("more"))
    with pytest.raises(InvalidArgument, match="not signed"):
        archived(sync_store, path, seal_key=KEY)
    assert (verified(path).signatures, verified(path).exit_code) == ("not signed", 2)


def test_what_redis_holds_differently_is_named(
    path: Path, sync_store: SyncEventStore, server: AnyServer, namespace: str
) -> None:
    at = Position.parse(position(path, ROW_3_OF_RUN_1))
    log = f"{{{namespace}:{at.partition}}}:log"
    entries = server.admin.xrange(log)
    server.admin.delete(log)
    for entry_id, fields in entries:
        if entry_id.decode() == at.entry_id:
            fields = {**fields, b"e": fields[b"e"].replace(b"1.3", b"9.9")}  # noqa: PLW2901
        server.admin.xadd(log, fields, id=entry_id)
    found = verified(path, store=sync_store)
    assert named(found) == [("differs", "run-1", 3)]


def test_a_run_stream_that_differs_is_named(
    path: Path, sync_store: SyncEventStore, server: AnyServer
) -> None:
    run = sync_store.operations.keys.run("run-1")
    entries = server.admin.xrange(run)
    server.admin.delete(run)
    for entry_id, fields in entries[1:]:
        changed = {**fields, b"e": fields[b"e"].replace(b"1.4", b"9.9")}
        server.admin.xadd(run, changed, id=entry_id)
    assert named(verified(path, store=sync_store)) == [("differs", "run-1", 4)]


def test_the_archive_of_another_store_is_not_compared(path: Path, server: AnyServer) -> None:
    with (
        SyncEventStore.open(server.url, namespace="another") as other,
        pytest.raises(StoreMismatch, match="namespace"),
    ):
        verified(path, store=other)
    server.forget("another")


def test_more_findings_than_are_kept_are_counted(path: Path) -> None:
    tamper(path, "UPDATE events SET event = NULL")
    found = verified(path, max_findings=7)
    assert (len(found.findings), found.finding_count) == (7, 30)
