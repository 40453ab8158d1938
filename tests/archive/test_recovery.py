"""What a server lost is put back from the archive, or accepted as lost and recorded."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from consistency import assert_consistent
from samples import ended, noted, paused, resumed
from servers import Server

from archive.filing import KEY, archived, ask, fill, opened
from eventstore import (
    InvalidArgument,
    LogRegressed,
    NewEvent,
    StoreMismatch,
    SyncEventStore,
)
from eventstore.archive import Archive, Archiver, verify
from eventstore.archive.commands import ask as ask_for
from eventstore.archive.recovery import accept, commands, lost, lost_events, put_back
from eventstore.archive.recovery.losses import archived_pages
from eventstore.commands import Command
from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import BlockingLine

PARTITIONS = 3


def a_store(server: Server, **options: Any) -> SyncEventStore:
    return SyncEventStore.open(server.url, namespace="runs", partitions=PARTITIONS, **options)


def everything(server: Server) -> dict[bytes, Any]:
    """Give what lies in Redis, but for idempotency keys and how its streams are packed."""
    found: dict[bytes, Any] = {}
    for key in server.admin.scan_iter(count=1000):
        kind = server.admin.type(key)
        if kind == b"stream":
            found[key] = server.admin.xrange(key)
        elif kind == b"hash":
            fields = server.admin.hgetall(key)
            found[key] = {
                f: v for f, v in fields.items() if f[:2] != b"i:" and not f.endswith(b"_ms")
            }
        elif kind == b"zset":
            found[key] = server.admin.zrange(key, 0, -1, withscores=True)
        else:
            found[key] = server.admin.get(key)
    return found


def write_history(store: SyncEventStore) -> None:
    fill(store, runs=7)
    store.append("paused", [noted("1", workflow_id="flow"), paused("p1", 3_600_000), noted()])
    store.append("resumed", [NewEvent("run.created", {}), paused("p2"), resumed("p2")])
    store.append("ended", [paused("p3"), ended()])
    created = NewEvent("run.created", {"options": {"stall_after_ms": 3_600_000}})
    store.append("may-stall", [created, noted()])
    store.append("may-stall", noted())
    store.append("stalls-not", [created, noted()])
    waits = {**paused("p5").data, "wait_for": [{"type": "paid", "conditions": []}]}
    store.append("stalls-not", NewEvent("run.paused", {**waits, "wait_timeout_ms": 5_000}))
    store.append("stalled-and-ended", [created])
    store.append("stalled-and-ended", ended("run.failed"))
    store.append("odd|%-π", [noted("x" * 5_000), paused("p4", 10)], idempotency_key="k")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


class Past:
    """The server's data as they were at some time, to be brought back."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._copy = folder / "past"
        server.stop()
        shutil.copytree(server.data, self._copy)
        server.start()

    def back(self) -> None:
        self._server.stop()
        shutil.rmtree(self._server.data)
        shutil.copytree(self._copy, self._server.data)
        self._server.start()


@pytest.fixture
def an_older_copy(own_server: Server, path: Path, tmp_path: Path) -> Server:
    """Give a server with an older copy of its data; all there was since is archived."""
    with a_store(own_server) as store:
        fill(store, runs=4, events=3)
    past = Past(own_server, tmp_path)
    with a_store(own_server) as store:
        store.append("run-1", [paused("p1", 3_600_000), noted("late")])
        write_more(store)
        archived(store, path, seal_key=KEY)
    past.back()
    return own_server


def write_more(store: SyncEventStore) -> None:
    for number in range(30):
        store.append(f"late-{number}", [noted(str(number)), noted()])


def test_an_emptied_server_is_rebuilt_whole(own_server: Server, path: Path) -> None:
    # given everything archived, and then lost
    with a_store(own_server) as store:
        write_history(store)
        identity, events = store.identity, archived(store, path, batch_events=5)
    before = everything(own_server)
    own_server.admin.flushall()

    # when it is put back
    with a_store(own_server) as store, Archive.look(path, read_only=False) as archive:
        assert store.identity != identity
        losses = lost(archive, store)
        assert (losses.events, losses.is_new_store, losses.replaced) == (events, True, ())
        assert sum(1 for _ in lost_events(archive, losses)) == events
        done = put_back(archive, store)
        assert (done.events, done.refused, done.left.events) == (events, {}, 0)

    # then nothing tells it from what it was, and everybody goes on
    assert everything(own_server) == before
    with a_store(own_server) as store:
        assert store.identity == identity
        store.append("run-1", noted("more"))
        assert archived(store, path) == 1
        with opened(store, path) as archive:
            assert verify(archive, store=store).exit_code == 0


def test_a_lost_tail_is_named_and_put_back(an_older_copy: Server, path: Path) -> None:
    with a_store(an_older_copy) as store:
        with pytest.raises(LogRegressed):
            archived(store, path, seal_key=KEY)
        with opened(store, path) as archive:
            losses = lost(archive, store)
            named = {(one.run_id, one.version, one.type) for one in lost_events(archive, losses)}
            assert losses.events == 62
            assert {("run-1", 4, "run.paused"), ("late-7", 2, "note.taken")} <= named
            assert put_back(archive, store).events == 62
            assert lost(archive, store).events == 0
            assert verify(archive, key=KEY, store=store).exit_code == 0
        assert [event.version for event in store.load("run-1")] == [1, 2, 3, 4, 5]
        store.append("late-7", noted("go on"), expected=2)
        assert archived(store, path, seal_key=KEY) == 1
    assert_consistent(an_older_copy, "runs")


def test_where_other_events_took_the_places_nothing_is_put_back(
    an_older_copy: Server, path: Path
) -> None:
    with a_store(an_older_copy) as store:
        store.append("run-1", noted("another life"))
        replaced = store.operations.keys.partition_of("run-1")
        before = store.load("run-1")
        with opened(store, path) as archive:
            losses = lost(archive, store)
            assert [loss.partition for loss in losses.replaced] == [replaced]
            done = put_back(archive, store)
            assert list(done.refused) == [replaced]
            assert 0 < done.events < 62
            assert done.left.events == 62 - done.events
            assert put_back(archive, store).events == 0
        assert store.load("run-1") == before


def test_an_accepted_loss_is_kept_and_recorded_and_archiving_goes_on(
    an_older_copy: Server, path: Path
) -> None:
    with a_store(an_older_copy) as store:
        store.append("run-1", noted("another life"))
        with opened(store, path) as archive:
            with pytest.raises(InvalidArgument, match="signed"):
                accept(archive, store, "the replica lagged")
            accepted = accept(archive, store, "the replica lagged", key=KEY)
            assert (accepted.events, accepted.runs) == (62, 31)
            assert lost(archive, store).events == 0
            assert archive.run_head("late-7") is None
            with pytest.raises(InvalidArgument, match="nothing is lost"):
                accept(archive, store, "again", key=KEY)
        assert archived(store, path, seal_key=KEY, batch_events=2) == 1
        for version in range(5, 9):
            store.append("run-1", noted("on"), expected=version - 1)
        assert archived(store, path, seal_key=KEY, batch_events=2) == 4
        with opened(store, path) as archive:
            found = verify(archive, key=KEY, store=store)
            assert (found.findings, found.exit_code) == ((), 0)
            assert archive.run_page("run-1", 0, None, 99) == store.load("run-1")
    assert ask(path, "SELECT count(*) FROM lost_events") == [(62,)]
    assert ask(path, "SELECT note FROM seals WHERE kind = 'accepted'") == [("the replica lagged",)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM lost_events WHERE run_id = 'late-7' AND version = 1",
        "UPDATE lost_events SET event = CAST('{}' AS BLOB) WHERE run_id = 'late-7' AND version = 2",
        "UPDATE seals SET note = 'it was nobody' WHERE kind = 'accepted'",
        "DELETE FROM seals WHERE kind = 'accepted'",
    ],
)
def test_what_was_accepted_is_verified_too(
    an_older_copy: Server, path: Path, statement: str
) -> None:
    with a_store(an_older_copy) as store, opened(store, path) as archive:
        accept(archive, store, "the replica lagged", key=KEY)
        assert verify(archive, key=KEY).exit_code == 0
        with archive.database.transaction() as tx:
            tx.execute(statement)
        found = verify(archive, key=KEY)
        assert found.exit_code == 1
        if "late-7" in statement:
            assert ("late-7", 1 if "DELETE" in statement else 2) in [
                (one.run_id, one.version) for one in found.findings
            ]


def test_a_store_made_anew_and_used_is_touched_only_when_told(
    own_server: Server, path: Path
) -> None:
    with a_store(own_server) as store:
        fill(store, runs=12)
        identity = store.identity
        archived(store, path)
    own_server.admin.flushall()
    with a_store(own_server) as store:
        store.append("run-1", noted("first of a new life"))
        replaced = store.operations.keys.partition_of("run-1")
        with pytest.raises(StoreMismatch, match="another store"):
            opened(store, path)
        with Archive.look(path, read_only=False) as archive:
            with pytest.raises(StoreMismatch, match="new-store"):
                put_back(archive, store)
            with pytest.raises(StoreMismatch, match="new-store"):
                accept(archive, store, "gone")
            assert list(put_back(archive, store, new_store=True).refused) == [replaced]
    with a_store(own_server) as store:
        assert store.identity == identity
        with opened(store, path) as archive:
            accept(archive, store, "partition gone")
        archived(store, path)
        with opened(store, path) as archive:
            assert verify(archive, store=store).exit_code == 0
    assert_consistent(own_server, "runs")


def test_an_archive_can_be_given_to_a_store_made_anew(own_server: Server, path: Path) -> None:
    with a_store(own_server) as store:
        fill(store)
        archived(store, path)
    own_server.admin.flushall()
    with a_store(own_server) as store:
        fill(store, runs=2)
        with Archive.look(path, read_only=False) as archive:
            assert accept(archive, store, "begin anew", new_store=True).events == 30
        assert archived(store, path) == 10
        with opened(store, path) as archive:
            assert verify(archive, store=store).exit_code == 0


@pytest.mark.parametrize("own_server", ["valkey"], indirect=True)
def test_nothing_is_put_back_while_an_archiver_runs(own_server: Server, path: Path) -> None:
    with a_store(own_server) as store:
        fill(store)
        with opened(store, path) as archive, Archiver(store, archive) as archiver:
            archiver.run_once()
            with pytest.raises(StoreMismatch, match="another archiver"):
                put_back(archive, store)


def test_run_streams_that_came_back_can_go_again(own_server: Server, path: Path) -> None:
    with a_store(own_server) as store:
        store.append("ended", [noted(), ended()])
        archived(store, path)
        with opened(store, path) as archive:
            archive.forget_cold(archive.cold_runs(9))
            assert archive.cold_runs(9) == []
    own_server.admin.flushall()
    with a_store(own_server) as store, Archive.look(path, read_only=False) as archive:
        put_back(archive, store)
        assert [(run.run_id, run.version) for run in archive.cold_runs(9)] == [("ended", 2)]


# What may come in between.


@pytest.fixture
def emptied(own_server: Server, path: Path) -> Server:
    """Give an emptied server; what was there is archived: one run of four events."""
    with a_store(own_server) as store:
        store.append("run", [noted(str(number)) for number in range(4)])
        archived(store, path)
    own_server.admin.flushall()
    return own_server


def test_a_call_whose_reply_is_lost_is_counted_once(
    emptied: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, lost_replies = BlockingLine.exchange, []

    def exchanged(self: BlockingLine, commands: Sequence[Command[Any]], *others: Any) -> Any:
        replies = exchange(self, commands, *others)
        if commands[0].script == "putback" and not lost_replies:
            lost_replies.append(replies)
            raise ConnectionLost(OSError("torn"), sent=True)
        return replies

    monkeypatch.setattr(BlockingLine, "exchange", exchanged)
    with a_store(emptied) as store, Archive.look(path, read_only=False) as archive:
        done = put_back(archive, store)
    assert (done.events, done.refused, len(lost_replies)) == (4, {}, 1)
    assert_consistent(emptied, "runs")


def refusal_of(server: Server, path: Path, spoil: Callable[[SyncEventStore], object]) -> str:
    """Spoil a store behind the back of somebody who puts back; give why that is refused."""
    with a_store(server) as store, Archive.look(path) as archive:
        losses = lost(archive, store)
        (loss,) = losses.partitions
        (page,) = archived_pages(archive, loss, 100)
        spoil(store)
        before = everything(server)
        command = commands.put_back(store.operations.keys, loss.kept, page)
        refusal = store.perform(ask_for(command))
        assert everything(server) == before
    assert refusal is not None
    return refusal.reason


def test_an_event_appended_meanwhile_is_not_written_over(emptied: Server, path: Path) -> None:
    assert refusal_of(emptied, path, lambda store: store.append("run", noted("first"))) == "tail"


def test_heads_and_run_streams_that_do_not_fit_are_not_written_over(
    emptied: Server, path: Path
) -> None:
    tag = f"{{runs:{zlib.crc32(b'run') % PARTITIONS}}}"
    head, run = f"{tag}:head:run", f"{tag}:run:run"
    assert refusal_of(emptied, path, lambda _: emptied.admin.hset(head, "v", 2)) == "version"
    emptied.admin.delete(head)
    assert (
        refusal_of(emptied, path, lambda _: emptied.admin.xadd(run, {"e": "x"}, "3-0")) == "ahead"
    )
