"""The archiver takes each event exactly once, and the archive gives it back as it was."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from faults import eventually
from samples import deleted, ended, noted, paused, resumed
from servers import AnyServer

from archive.filing import KEY, archived, ask, fill, opened, tamper
from eventstore import (
    HistoryGap,
    InvalidArgument,
    LogRegressed,
    NewEvent,
    Position,
    ServerRefused,
    StoreMismatch,
    SyncEventStore,
    Upcasters,
)
from eventstore.archive import (
    Archive,
    Archiver,
    archive_status,
    parse_seal_key,
    seal_key_from_environment,
    verify,
)
from eventstore.archive.binding import Binding, make_archive
from eventstore.clock import system_clock
from eventstore.codec import append_prefix, crc_of
from eventstore.decoding import Decoder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def test_what_is_archived_reads_back_as_it_was(sync_store: SyncEventStore, path: Path) -> None:
    fill(sync_store)
    sync_store.append(
        "ключ|%", [noted("x", workflow_id="flow", meta={"actor": "é"}), noted()], append_id="a-1"
    )
    assert archived(sync_store, path, batch_events=3) == 32
    assert archived(sync_store, path) == 0
    with opened(sync_store, path) as archive:
        assert archive.reached() == sync_store.tails()
        for partition in range(16):
            start = Position(partition, 0, 0)
            page = archive.log_page(start, 99)
            assert page == [e for e in sync_store.read_all() if e.position.partition == partition]
            if page:
                at = page[0].position
                assert archive.log_page(at, 1) == page[1:2]
                assert archive.log_page(start, 99, at.n) == page[:1]
        events = sync_store.load("run-3")
        assert archive.run_page("run-3", 0, None, 99) == events
        assert archive.run_page("run-3", 1, 4, 99) == events[1:3]
        assert archive.run_page("run-3", 1, None, 2, backwards=True) == events[:-3:-1]
        assert archive.run_page("nobody", 0, None, 9) == []


def test_what_is_archived_of_a_run_is_known(sync_store: SyncEventStore, path: Path) -> None:
    sync_store.append("open", [noted(), noted(workflow_id="flow")])
    first = sync_store.append("closed", [noted(workflow_id="w"), noted(), ended()], append_id="a-1")
    sync_store.append("deleted", [noted(), ended()])
    sync_store.append("deleted", deleted())
    archived(sync_store, path)
    with opened(sync_store, path) as archive:
        heads = {run_id: archive.run_head(run_id) for run_id in ("open", "closed", "deleted")}
        for run_id, known in heads.items():
            head = sync_store.head(run_id)
            assert known is not None
            assert (known.version, known.closed, known.deleted, known.workflow_id) == (
                head.version,
                head.closed,
                head.deleted,
                head.workflow_id,
            )
        assert archive.run_head("nobody") is None
        found = archive.find_append("closed", "a-1")
        assert found is not None
        assert (found.first_version, found.last_version, found.positions) == (1, 3, first.positions)
        assert found.deduplicated
        assert archive.find_append("closed", "a-2") is None


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_runs_whose_streams_can_go_are_named_once(sync_store: SyncEventStore, path: Path) -> None:
    expired = NewEvent("run.window_expired", {"pause_id": "p1"})
    sync_store.append("hot", noted())
    sync_store.append("ended", [noted(), ended()])
    sync_store.append("paused", [paused("p1")])
    sync_store.append("parked", [paused("p1"), expired])
    sync_store.append("signalled", [paused("p1"), expired, noted("a signal")])
    sync_store.append("back", [paused("p1"), expired, resumed("p1")])
    archived(sync_store, path)
    with opened(sync_store, path) as archive:
        cold = archive.cold_runs(99)
        named = [(run.run_id, run.version) for run in cold]
        assert named == [("ended", 2), ("parked", 2), ("signalled", 3)]
        assert [run.run_id for run in archive.cold_runs(1, after="ended")] == ["parked"]
        archive.forget_cold(cold[:2])
        assert [run.run_id for run in archive.cold_runs(99)] == ["signalled"]
    sync_store.append("ended", deleted())
    sync_store.append("parked", resumed("p1"))
    archived(sync_store, path)
    with opened(sync_store, path) as archive:
        assert [run.run_id for run in archive.cold_runs(99)] == ["ended", "signalled"]
        archive.forget_cold(cold)  # by somebody who looked before: more was archived since
        assert [run.run_id for run in archive.cold_runs(99)] == ["ended"]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_old_payloads_are_lifted_when_they_are_read(sync_store: SyncEventStore, path: Path) -> None:
    sync_store.append("run", noted("old"))
    archived(sync_store, path)
    upcasters = Upcasters()
    upcasters.register("note.taken", 1)(lambda data: {**data, "new": True})
    with opened(sync_store, path, decoder=Decoder(upcasters)) as archive:
        (event,) = archive.run_page("run", 0, None, 9)
    assert (event.data, event.schema_version) == ({"text": "old", "new": True}, 2)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_time_stands_for_the_last_entry_before_it(sync_store: SyncEventStore, path: Path) -> None:
    for _ in range(20):
        sync_store.append("run", noted())
    archived(sync_store, path)
    events = sync_store.load("run")
    with opened(sync_store, path) as archive:
        for event in events:
            at = event.position._replace(n=0)
            earlier = [e.position for e in events if e.position.ms < at.ms]
            assert archive.before(at) == (earlier[-1] if earlier else None)
            assert archive.log_page(at, 1)[0].position.ms == at.ms
        assert archive.before(Position(at.partition, at.ms + 10**6, 0)) == events[-1].position


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_it_follows_until_it_is_stopped(sync_store: SyncEventStore, path: Path) -> None:
    stop, done = threading.Event(), []
    with opened(sync_store, path) as archive, Archiver(sync_store, archive) as archiver:
        thread = threading.Thread(target=lambda: done.append(archiver.run(stop)))
        thread.start()
        try:
            for number in range(3):
                sync_store.append("run", noted(str(number)))
                at = sync_store.load("run")[-1].position
                eventually(lambda at=at: archive.reached()[at.partition] == at)  # type: ignore[misc]
        finally:
            stop.set()
            thread.join()
        assert done == [3]
        assert verify(archive, store=sync_store).exit_code == 0


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_large_events_travel_in_small_batches(sync_store: SyncEventStore, path: Path) -> None:
    sync_store.append("run", [noted("x" * 100_000) for _ in range(40)])
    with (
        opened(sync_store, path) as archive,
        Archiver(sync_store, archive, batch_events=16, batch_bytes=250_000) as archiver,
    ):
        counts = []
        while count := archiver.run_once():
            counts.append(count)
        assert (counts[0], max(counts[1:]), sum(counts)) == (16, 2, 40)
        sync_store.append("run", [noted() for _ in range(40)])
        assert [archiver.run_once() for _ in range(5)] == [2, 4, 8, 16, 10]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_of_two_who_make_an_archive_the_first_one_made_it(
    sync_store: SyncEventStore, path: Path
) -> None:
    fill(sync_store)
    archived(sync_store, path)
    binding = Binding.of(sync_store.identity, sync_store.operations.keys)
    make_archive(path, binding, system_clock)
    assert archived(sync_store, path) == 0
    with opened(sync_store, path) as archive:
        assert verify(archive, store=sync_store).events == 30


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_one_archiver_at_a_time_has_the_file(sync_store: SyncEventStore, path: Path) -> None:
    fill(sync_store)
    with opened(sync_store, path) as archive, Archiver(sync_store, archive) as archiver:
        archiver.run_once()
        with (
            opened(sync_store, path) as same,
            Archiver(sync_store, same) as second,
            pytest.raises(StoreMismatch, match="another archiver") as caught,
        ):
            second.run_once()
        assert caught.value.holder_pid == os.getpid()  # type: ignore[attr-defined]
        assert archive_status(archive).archiver is not None
    with opened(sync_store, path) as archive:
        assert archive_status(archive).archiver is None
        assert archived(sync_store, path) == 0


# A log that is not what it was.


def log_of(store: SyncEventStore, run_id: str) -> str:
    keys = store.operations.keys
    return keys.log(keys.partition_of(run_id))


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_log_that_went_back_is_told_and_stored_and_nothing_overwritten(
    sync_store: SyncEventStore, path: Path, server: AnyServer, namespace: str
) -> None:
    fill(sync_store)
    archived(sync_store, path)
    server.forget(namespace)
    with opened(sync_store, path) as archive, Archiver(sync_store, archive) as archiver:
        for _ in range(2):
            with pytest.raises(LogRegressed):
                archiver.run_once()
    with Archive.look(path) as archive:
        status = archive_status(archive)
        assert (status.state, status.events) == ("regressed", 30)
        assert "lost acknowledged writes" in status.message
        assert status.since_ms


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_another_event_in_an_archived_place_is_told(
    sync_store: SyncEventStore, path: Path, server: AnyServer
) -> None:
    # given a server whose last entry was replaced: the same id, another event, a good checksum
    sync_store.append("run", [noted("1"), noted("2")], append_id="a")
    archived(sync_store, path)
    log = log_of(sync_store, "run")
    ((first, one), (second, two)) = server.admin.xrange(log)
    other = two[b"e"].replace(b'"2"', b'"9"')
    at = sync_store.load("run")[1].position
    total = crc_of(append_prefix(b"run", b"a"), other) + 65537 * 2 + 257 * at.n + at.ms
    server.admin.delete(log)
    server.admin.xadd(log, one, id=first)
    server.admin.xadd(log, {**two, b"e": other, b"c": b"%08x" % (total & 0xFFFFFFFF)}, id=second)

    sync_store.append("run", noted("3"))

    with pytest.raises(LogRegressed, match="another event"):
        archived(sync_store, path)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_missing_entries_are_a_gap_and_trimmed_ones_are_not(
    sync_store: SyncEventStore, path: Path, server: AnyServer
) -> None:
    sync_store.append("run", [noted(str(n)) for n in range(4)])
    archived(sync_store, path)
    log = log_of(sync_store, "run")
    server.admin.xtrim(log, maxlen=0, approximate=False)
    sync_store.append("run", [noted("5"), noted("6"), noted("7")])
    assert archived(sync_store, path) == 3
    sync_store.append("run", [noted("8"), noted("9")])
    server.admin.xdel(log, server.admin.xrevrange(log, count=2)[1][0])
    with pytest.raises(HistoryGap):
        archived(sync_store, path)
    with Archive.look(path) as archive:
        assert archive_status(archive).state == "gap"


# What is refused.


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_the_archive_of_something_else_is_refused(
    sync_store: SyncEventStore, path: Path, namespace: str
) -> None:
    archived(sync_store, path)
    fitting = {"identity": sync_store.identity, "namespace": namespace, "partitions": 16}
    for wrong, match in (
        ({"identity": "other"}, "another store"),
        ({"namespace": "other"}, "namespace"),
        ({"partitions": 4}, "partitions"),
    ):
        for read_only in (True, False):
            with pytest.raises(StoreMismatch, match=match):
                Archive.open(path, **{**fitting, **wrong}, read_only=read_only)  # type: ignore[arg-type]
    tamper(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreMismatch, match="update the code"):
        opened(sync_store, path)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_what_is_no_archive_is_refused_and_left_alone(
    sync_store: SyncEventStore, tmp_path: Path
) -> None:
    with pytest.raises(ServerRefused, match="no archive"):
        opened(sync_store, tmp_path / "missing.db", read_only=True)
    with pytest.raises(ServerRefused):
        opened(sync_store, tmp_path / "no" / "folder.db")
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("a text that is longer than a header\n" * 9)
    tamper(other, "CREATE TABLE t (a)")
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(StoreMismatch, match="no archive"):
            opened(sync_store, path)
        assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.db", "text"]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_signed_seals_go_on_with_their_key_only(sync_store: SyncEventStore, path: Path) -> None:
    fill(sync_store)
    archived(sync_store, path, seal_key=KEY)
    sync_store.append("run-1", noted())
    for key, match in ((None, "signed; give the key"), (b"w" * 32, "another key")):
        with pytest.raises(InvalidArgument, match=match):
            archived(sync_store, path, seal_key=key)
    assert archived(sync_store, path, seal_key=KEY) == 1
    assert ask(path, "SELECT count(*) FROM seals WHERE signature IS NULL") == [(0,)]


def test_a_key_is_hexadecimal_or_base64_long_enough_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parse_seal_key("00" * 16) == bytes(16)
    assert parse_seal_key("c2VjcmV0LXNlY3JldC1zZWNyZXQ=") == b"secret-secret-secret"
    for bad in ("00" * 15, "not a key!", "c2VjcmV0", "ein Schlüssel, der keiner ist"):
        with pytest.raises(InvalidArgument) as caught:
            parse_seal_key(bad)
        assert bad not in str(caught.value)
    monkeypatch.delenv("RUNSTORE_SEAL_KEY", raising=False)
    assert seal_key_from_environment() is None
    monkeypatch.setenv("RUNSTORE_SEAL_KEY", "ab" * 32)
    assert seal_key_from_environment() == b"\xab" * 32


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_settings_that_make_no_sense_are_refused(sync_store: SyncEventStore, path: Path) -> None:
    with opened(sync_store, path) as archive:
        for wrong in ({"batch_events": 0}, {"block_ms": 0}, {"seal_key": b"short"}):
            with pytest.raises(InvalidArgument):
                Archiver(sync_store, archive, **wrong)  # type: ignore[arg-type]
