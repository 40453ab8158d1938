"""The archive erases a run with its deletion, and everything can still be read and verified."""

from __future__ import annotations

from uuid import UUID

import pytest
from archive.filing import KEY, ask, tamper
from retention.ground import Ground
from servers import AnyServer

from erasure.conftest import MARKER, delete, speak
from eventstore import CorruptEvent, RecordedEvent
from eventstore.archive import Archiver, Verification, verify
from eventstore.events import ERASED

CONTENT = """
SELECT version FROM events WHERE event IS NOT NULL
AND run = (SELECT id FROM runs WHERE run_id = 'secret')
"""
PROOF = "SELECT place, version, digest, chain FROM events WHERE version < 6 ORDER BY place"


def verified(ground: Ground, **options: object) -> Verification:
    with ground.opened_archive(read_only=True) as archive:
        return verify(archive, store=ground.store, **options)  # type: ignore[arg-type]


def expected(event: RecordedEvent) -> tuple[object, ...]:
    return event.run_id, event.version, event.position, event.recorded_at


def test_content_goes_with_the_deletion_and_digests_stay(ground: Ground) -> None:
    # given a run that is archived, with its proof
    proof = ask(ground.path, PROOF)
    assert len(ask(ground.path, CONTENT)) == 5
    # when its deletion is archived
    ground.archive()
    # then only that has content, and the proof is what it was
    assert ask(ground.path, CONTENT) == [(7,)]
    assert ask(ground.path, PROOF) == proof
    found = verified(ground)
    assert (found.exit_code, found.erased, found.events) == (0, 6, 12)


def test_a_run_that_is_archived_together_with_its_deletion_is_erased_too(ground: Ground) -> None:
    speak(ground, "late")
    delete(ground, "late")
    ground.archive()
    found = verified(ground)
    assert (found.exit_code, found.erased) == (0, 12)


def test_the_file_and_what_is_beside_it_lose_the_bytes(ground: Ground) -> None:
    # given an archive that is open, with what it holds beside the file
    with ground.opened_archive() as archive, Archiver(ground.store, archive) as archiver:
        assert MARKER.encode() in ground.path.read_bytes()
        # when the deletion is archived up to the log's end
        archiver.run_to_end()
        # then nothing is beside the file, and it has no trace once it is written anew
        assert ground.path.with_name(f"{ground.path.name}-wal").stat().st_size == 0
        archive.database.rewrite()
        assert archive.database.settle()
        assert MARKER.encode() not in ground.path.read_bytes()
        assert b"note.taken" in ground.path.read_bytes()


def test_erased_events_read_as_such_in_their_places(ground: Ground) -> None:
    # given a deleted run that left Redis
    before = ground.runs["secret"]
    ground.archive_and_trim()
    assert not ground.holds_stream("secret")
    # when it is read, by itself and in the log
    events = ground.store.load("secret")
    backwards = list(ground.store.read_run("secret", backwards=True))
    log = [event for event in ground.store.read_all() if event.run_id == "secret"]
    # then each event stands where it stood, and tells nothing
    assert events == backwards[::-1] == log
    assert list(map(expected, events)) == list(map(expected, before))
    assert [event.type for event in events] == [ERASED] * 6 + ["run.deleted"]
    assert all((event.data, event.meta) == ({}, {}) for event in events[:-1])
    assert len({UUID(event.id) for event in events}) == 7
    assert not {event.id for event in events[:-1]} & {event.id for event in before}
    assert len(list(ground.store.read_all())) == len(ground.all)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_an_archive_from_before_is_swept(ground: Ground) -> None:
    # given an archive of older code, which kept what was deleted
    rows = ask(ground.path, "SELECT event, place FROM events")
    ground.archive_and_trim()
    for content, place in rows:
        tamper(ground.path, "UPDATE events SET event = ? WHERE place = ?", (content, place))
    tamper(ground.path, "DROP TABLE erasures")
    tamper(ground.path, "DROP INDEX runs_deleted")
    tamper(ground.path, "PRAGMA user_version = 1")
    head = ground.store.operations.keys.head("secret")
    ground.server.admin.hset(head, "w", MARKER)
    # when archiver and trimmer of this code run
    ground.archive_and_trim()
    # then what was deleted is gone from both
    assert ask(ground.path, CONTENT) == [(7,)]
    assert ground.server.admin.hgetall(head) == {b"v": b"7", b"s": b"deleted"}
    assert verified(ground).exit_code == 0


FORGERIES = {
    "content of a run that is not deleted": (
        """UPDATE events SET event = NULL
        WHERE version = 2 AND run = (SELECT id FROM runs WHERE run_id = 'other')""",
        "no deletion of its run explains it",
    ),
    "a deletion itself": (
        "UPDATE events SET event = NULL WHERE version = 7",
        "no deletion of its run explains it",
    ),
    "the digest of an erased event": (
        "UPDATE events SET digest = zeroblob(32) WHERE version = 3 AND event IS NULL",
        "does not lead here",
    ),
    "an erased event": ("DELETE FROM events WHERE version = 3 AND event IS NULL", "not there"),
    "a deletion that was another event": (
        """UPDATE events SET event = CAST('{"type":"run.deleted","data":{},"id":"x"}' AS BLOB)
        WHERE version = 7""",
        "not what was archived",
    ),
}


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_no_deletion_explains_is_found(ground: Ground, forgery: str) -> None:
    # given an archive that is as it should be
    statement, told = FORGERIES[forgery]
    ground.archive()
    assert verified(ground).exit_code == 0
    # when somebody takes something away, or puts another thing there
    assert tamper(ground.path, statement) == 1
    # then it is named
    found = verified(ground)
    assert found.exit_code == 1
    assert any(told in one.detail for one in found.findings), found.findings


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_forged_note_of_an_erasure_justifies_nothing(ground: Ground) -> None:
    # given content that is gone, and a note that its run was deleted
    ground.archive_and_trim()
    tamper(ground.path, FORGERIES["content of a run that is not deleted"][0])
    with pytest.raises(CorruptEvent), ground.opened_archive(read_only=True) as archive:
        archive.run_page("other", 0, None, 10)
    tamper(ground.path, "INSERT INTO erasures VALUES ('other', 5, 1, 1)")
    # then it is found all the same
    found = verified(ground)
    assert [(one.what, one.run_id, one.version) for one in found.findings] == [
        ("removed", "other", 2)
    ]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_signed_seals_stay_good(server: AnyServer, namespace: str, ground: Ground) -> None:
    ground.path.unlink()
    with (
        ground.opened_archive() as archive,
        Archiver(ground.store, archive, seal_key=KEY) as archiver,
    ):
        archiver.run_to_end()
    assert verified(ground, key=KEY).signatures == "good"
