"""Whatever somebody does to what is stored, the audit finds it and names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive.filing import fill
from samples import noted
from servers import AnyServer

from audit.ground import Ground, flipped, forged
from eventstore import EventStore, SyncEventStore
from eventstore.archive import Archive
from projections import open_database
from replay.audit import Audit, AuditReport, verify

RUN, VERSION = "run-1", 3
ONE_SERVER = pytest.mark.parametrize("server", ["valkey"], indirect=True)
ROW = f"run = (SELECT id FROM runs WHERE run_id = '{RUN}') AND version = {VERSION}"


@pytest.fixture(params=["archived", "in Redis alone"])
def ground(
    request: pytest.FixtureRequest, sync_store: SyncEventStore, server: AnyServer, tmp_path: Path
) -> Ground:
    """Give a small store that all is well with, once archived and projected, once not."""
    fill(sync_store)
    made = Ground(sync_store, server, tmp_path)
    if request.param == "archived":
        made.follow()
        sync_store.append("run-1", noted("not archived"))
    found = made.verify()
    assert (found.findings, found.unchecked, found.exit_code) == ((), (), 0)
    return made


@pytest.fixture
def whole(server: AnyServer, namespace: str, tmp_path: Path) -> Iterator[Ground]:
    """Give a small store that is archived and projected."""
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace, archive=path) as store:
        fill(store)
        made = Ground(store, server, tmp_path)
        made.follow()
        yield made


def named(found: AuditReport) -> set[tuple[str, str, str | None, int | None]]:
    assert found.exit_code == (1 if found.findings else 0)
    assert found.finding_count == len(found.findings)
    return {(one.part, one.what, one.run_id, one.version) for one in found.findings}


def test_what_is_checked_is_counted(whole: Ground) -> None:
    found = whole.verify()
    assert (found.events, found.runs, found.projections) == (
        *(30, 6),
        ("runs", "timeline", "agents"),
    )
    assert found.archive is not None
    assert (found.archive.events, found.archive.signatures) == (30, "good")


@pytest.mark.parametrize("field", [b"e", b"c", b"a", b"v", b"r"])
def test_a_flipped_byte_in_the_log_is_named(ground: Ground, field: bytes) -> None:
    at = ground.position(RUN, VERSION)
    ground.replace_in_log(at, flipped(ground.in_log(at), field))
    found = ground.verify()
    assert str(at) in {one.position for one in found.findings if one.part == "log"}
    assert {"changed", "differs"} & {one.what for one in found.findings if one.part == "log"}


@pytest.mark.parametrize("field", [b"e", b"c", b"a", b"p"])
def test_a_flipped_byte_in_a_runs_own_stream_is_named(ground: Ground, field: bytes) -> None:
    ground.replace_in_run(RUN, {VERSION: flipped(ground.in_run(RUN, VERSION), field)})
    assert ("run", "changed", RUN, VERSION) in named(ground.verify())


def test_an_event_forged_with_its_checksum_differs_from_its_other_copies(ground: Ground) -> None:
    # given a change in a run's own stream that looks sound by itself
    at = ground.position(RUN, VERSION)
    ground.replace_in_run(RUN, {VERSION: forged(ground.in_run(RUN, VERSION), RUN, VERSION, at)})
    assert ground.store.load(RUN)[VERSION - 1].data == {"text": "9.9"}
    # when it is checked / then it is not what the log holds
    found = named(ground.verify())
    assert ("log", "differs", RUN, VERSION) in found
    # nor what the archive does, also when the log was forged with it
    ground.replace_in_log(at, forged(ground.in_log(at), RUN, VERSION, at))
    if ground.archive.exists():
        assert {("run", "changed", RUN, VERSION), ("archive", "differs", RUN, VERSION)} <= named(
            ground.verify()
        )


def test_a_field_that_is_no_event_is_named(ground: Ground) -> None:
    ground.replace_in_run(RUN, {VERSION: {b"x": b"y"}})
    at = ground.position("run-2", 2)
    ground.replace_in_log(at, {b"x": b"y"})
    found = ground.verify()
    assert ("run", "changed", RUN, VERSION) in named(found)
    assert ("changed", str(at)) in {(one.what, one.position) for one in found.findings}


def test_an_event_removed_from_the_log_is_named(ground: Ground) -> None:
    at = ground.position(RUN, VERSION)
    ground.admin.xdel(ground.keys.log(at.partition), at.entry_id)
    found = [one for one in ground.verify().findings if one.part == "log"]
    assert [(one.what, one.position) for one in found] == [("removed", f"{at.partition}:?-{at.n}")]


def test_an_event_removed_from_a_runs_own_stream_is_named(ground: Ground) -> None:
    ground.admin.xdel(ground.keys.run(RUN), f"{VERSION}-0")
    assert ("run", "removed", RUN, VERSION) in named(ground.verify())


def test_an_event_added_to_the_log_is_named(ground: Ground) -> None:
    at = ground.position(RUN, 5)
    end = ground.store.tails()[at.partition]
    ground.admin.xadd(ground.keys.log(at.partition), ground.in_log(at), id=f"{end.ms}-{end.n + 1}")
    found = ground.verify()
    added = f"{at.partition}:{end.ms}-{end.n + 1}"
    assert ("added", added) in {(one.what, one.position) for one in found.findings}


def test_an_event_added_to_a_runs_own_stream_is_named(ground: Ground) -> None:
    version = ground.store.head(RUN).version + 1
    fields = ground.in_run(RUN, VERSION)
    ground.admin.xadd(ground.keys.run(RUN), fields, id=f"{version}-0")
    assert ("run", "added", RUN, version) in named(ground.verify())


def test_events_that_changed_places_in_a_run_are_named(ground: Ground) -> None:
    one, two = ground.in_run(RUN, 2), ground.in_run(RUN, 3)
    ground.replace_in_run(RUN, {2: two, 3: one})
    assert {("run", "changed", RUN, 2), ("run", "changed", RUN, 3)} <= named(ground.verify())


def test_events_that_changed_places_in_the_log_are_named(ground: Ground) -> None:
    places = [ground.position(RUN, version) for version in (2, 3)]
    one, two = map(ground.in_log, places)
    ground.replace_in_log(places[0], two)
    ground.replace_in_log(places[1], one)
    found = {one.position for one in ground.verify().findings if one.part == "log"}
    assert found == {str(at) for at in places}


def test_a_truncated_log_is_found(ground: Ground) -> None:
    at = ground.position(RUN, 5)
    log = ground.keys.log(at.partition)
    gone = [entry_id.decode() for entry_id, _ in ground.admin.xrevrange(log, count=3)]
    ground.admin.xdel(log, *gone)
    found = ground.verify()
    places = {one.position for one in found.findings if one.part == "log"}
    assert places == {f"{at.partition}:?-{entry_id.split('-')[1]}" for entry_id in gone}


def test_a_truncated_run_is_named(ground: Ground) -> None:
    last = ground.store.head("run-2").version
    ground.admin.xdel(ground.keys.run("run-2"), f"{last}-0")
    assert ("run", "removed", "run-2", last) in named(ground.verify())


def test_a_run_cut_with_its_head_is_named(whole: Ground) -> None:
    whole.admin.xdel(whole.keys.run("run-2"), "5-0")
    whole.admin.hset(whole.keys.head("run-2"), "v", 4)
    assert ("run", "removed", "run-2", 5) in named(whole.verify())


def test_a_head_that_is_gone_is_named(ground: Ground) -> None:
    ground.admin.delete(ground.keys.head("run-2"))
    found = {(one.part, one.what, one.run_id) for one in ground.verify().findings}
    assert ("run", "removed", "run-2") in found


def test_a_whole_log_that_is_gone_is_found(ground: Ground) -> None:
    partition = ground.keys.partition_of(RUN)
    ground.admin.delete(ground.keys.log(partition))
    if ground.archive.exists():
        # what the archive holds may leave the log; what it lacks may not
        assert "removed" in {one.what for one in ground.verify().findings}
    else:
        end = ground.store.tails()[partition]
        found = [one.position for one in ground.verify().findings if one.part == "log"]
        assert found == [f"{partition}:?-{n}" for n in range(1, end.n + 1)]


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE events SET event = CAST(replace(event, '1.3', '9.9') AS BLOB) WHERE {ROW}",
        f"UPDATE events SET event = NULL WHERE {ROW}",
        f"UPDATE events SET digest = zeroblob(32) WHERE {ROW}",
        f"DELETE FROM events WHERE {ROW}",
    ],
)
@ONE_SERVER
def test_a_change_to_the_archive_is_named(whole: Ground, change: str) -> None:
    whole.in_archive(change)
    found = whole.verify()
    assert found.exit_code == 1
    assert ("archive", RUN, VERSION) in {
        (one.part, one.run_id, one.version) for one in found.findings
    }


@ONE_SERVER
def test_a_forged_and_a_removed_seal_are_named(whole: Ground) -> None:
    whole.in_archive("UPDATE seals SET signature = zeroblob(32) WHERE sequence = 2")
    assert [(one.what, one.seal) for one in whole.verify().findings] == [("forged", 2)]
    whole.in_archive("DELETE FROM seals WHERE sequence = 2")
    assert ("removed", 2) in {(one.what, one.seal) for one in whole.verify().findings}


@ONE_SERVER
def test_a_truncated_archive_is_found_by_a_seal_noted_elsewhere(whole: Ground) -> None:
    noted_seal = whole.verify().archive.last_seal  # type: ignore[union-attr]
    whole.in_archive("DELETE FROM events WHERE place IN (SELECT max(place) FROM events)")
    found = whole.verify(expect=noted_seal)
    assert "removed" in {one.what for one in found.findings if one.part == "archive"}


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("UPDATE runs SET status = 'failed' WHERE run_id = 'run-1'", "runs"),
        (
            "UPDATE timeline SET data = replace(data, '1.3', '1.2') WHERE run_id = 'run-1'",
            "timeline",
        ),
        ("DELETE FROM timeline WHERE run_id = 'run-1' AND version = 3", "timeline"),
        ("DELETE FROM runs WHERE run_id = 'run-1'", "runs"),
    ],
)
@ONE_SERVER
def test_a_change_to_a_projections_row_is_named(whole: Ground, change: str, table: str) -> None:
    whole.in_database(change)
    found = [one for one in whole.verify().findings if one.part == "projection"]
    assert (table, RUN) in {(one.table, one.run_id) for one in found}


@ONE_SERVER
def test_an_end_cut_off_everywhere_in_redis_is_found_by_the_projections(
    sync_store: SyncEventStore, server: AnyServer, tmp_path: Path
) -> None:
    # given a store without an archive, whose last event somebody removed without a trace
    fill(sync_store)
    ground = Ground(sync_store, server, tmp_path)
    ground.project()
    partition = ground.keys.partition_of(RUN)
    end = sync_store.tails()[partition]
    (event,) = [event for event in sync_store.read_all() if event.position == end]
    ground.admin.xdel(ground.keys.log(partition), end.entry_id)
    ground.admin.xdel(ground.keys.run(event.run_id), f"{event.version}-0")
    ground.admin.hset(ground.keys.head(event.run_id), "v", event.version - 1)
    ground.admin.set(ground.keys.tail(partition), f"{end.ms}-{end.n - 1}")
    # when it is checked / then rows are left that were made of it
    found = ground.verify()
    assert ("projection", "removed") in {(one.part, one.what) for one in found.findings}, found


@ONE_SERVER
def test_what_cannot_be_checked_is_said(whole: Ground, server: AnyServer, namespace: str) -> None:
    # given signatures without their key
    found = whole.verify(key=None)
    assert (found.exit_code, len(found.unchecked), found.findings) == (2, 1, ())
    assert "key missing" in found.unchecked[0]
    # and the archive and database of another store
    with (
        SyncEventStore.open(server.url, namespace=f"{namespace}-x") as other,
        Archive.look(whole.archive) as archive,
        open_database(whole.database) as database,
    ):
        report = verify(other, archive, database)
    server.forget(f"{namespace}-x")
    assert (report.exit_code, report.findings) == (2, ())
    archive_told, database_told = report.unchecked
    assert "namespace" in archive_told
    assert "another store" in database_told


@ONE_SERVER
def test_more_findings_than_are_kept_are_counted(whole: Ground) -> None:
    whole.in_archive("UPDATE events SET event = NULL")
    found = whole.verify(max_findings=7)
    assert len(found.findings) == 7
    assert found.finding_count >= 30


@ONE_SERVER
def test_what_is_dropped_after_it_was_archived_is_no_finding(whole: Ground) -> None:
    # given runs whose own streams were dropped, and a log that was trimmed
    at = whole.position("run-1", 3)
    whole.admin.delete(whole.keys.run("run-1"))
    whole.admin.xtrim(whole.keys.log(at.partition), maxlen=1, approximate=False)
    whole.admin.xtrim(whole.keys.run("run-2"), maxlen=2, approximate=False)
    # when it is checked / then nothing is missing
    assert whole.verify().findings == ()


@ONE_SERVER
@pytest.mark.parametrize("part", ["log", "runs", "archive"])
def test_what_is_appended_meanwhile_does_no_harm(whole: Ground, part: str) -> None:
    def on_progress(now: str, _done: int) -> None:
        if now == part:
            whole.store.append("run-1", noted("meanwhile"))
            whole.store.append("new", noted("meanwhile"))

    assert whole.verify(on_progress=on_progress).findings == ()


@ONE_SERVER
async def test_the_asyncio_form_finds_the_same(
    whole: Ground, server: AnyServer, namespace: str
) -> None:
    whole.replace_in_run(RUN, {VERSION: flipped(whole.in_run(RUN, VERSION))})
    async with EventStore.open(server.url, namespace=namespace) as store:
        found = await Audit(store).verify()
    assert ("run", "changed", RUN, VERSION) in named(found)
