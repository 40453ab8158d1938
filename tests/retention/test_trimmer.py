"""What leaves the log, and what is waited for."""

from __future__ import annotations

import threading

import pytest
from faults import eventually
from samples import contents, ended, noted, notes

from eventstore import EventStore, InvalidArgument, LogRegressed, Position, StoreMismatch
from eventstore.retention import Trimmer, TrimReport
from retention.ground import Ground

RUN = "run"


def partition(ground: Ground) -> int:
    return ground.store.operations.keys.partition_of(RUN)


def join(ground: Ground, group: str, done: Position | None, *, silent_ms: int = 0) -> None:
    """Register a group with one member that was heard of so long ago, and stands there."""
    keys, admin = ground.store.operations.keys, ground.server.admin
    admin.hset(keys.groups, group, "{}")
    seconds, micros = admin.time()
    now_ms = seconds * 1000 + micros // 1000
    admin.zadd(keys.members(group), {"m": now_ms - silent_ms})
    if done is not None:
        admin.hset(keys.lease(partition(ground), group), "done", done.entry_id)


def positions(report: TrimReport, ground: Ground) -> str:
    return str(report.partitions[partition(ground)].held_by)


def test_what_is_archived_leaves_the_log_but_for_the_last_entry(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()

    report = ground.trim()

    assert (report.trimmed, report.left) == (9, 1)
    assert report.archive == ground.path
    assert ground.length(partition(ground)) == 1
    assert all(each.held_by is None for each in report.partitions)
    assert ground.trim().trimmed == 0


def test_what_is_not_archived_stays(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    ground.append(RUN, *notes(5))

    report = ground.trim()

    assert (report.trimmed, report.left) == (9, 6)
    last = ground.log[partition(ground)][9].position
    assert positions(report, ground) == f"the archive has come to {last}"


def test_a_live_group_is_waited_for(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    done = ground.log[partition(ground)][3].position
    join(ground, "billing", done)

    report = ground.trim()

    assert (report.trimmed, report.left) == (3, 7)
    assert positions(report, ground) == f"group 'billing' has come to {done}"


def test_a_live_group_that_has_not_begun_holds_everything(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    join(ground, "billing", None)

    report = ground.trim()

    assert (report.trimmed, report.left) == (0, 10)
    assert positions(report, ground) == "group 'billing' has not begun"


def test_a_group_that_is_away_blocks_nothing(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    join(ground, "billing", None, silent_ms=5_000)

    assert ground.trim(group_grace_ms=60_000).trimmed == 0
    assert ground.trim(group_grace_ms=4_000).trimmed == 9


def test_a_group_that_owns_a_partition_is_waited_for_whatever_its_heartbeat(ground: Ground) -> None:
    """Its member came back between the look at the heartbeats and the trimming."""
    ground.append(RUN, *notes(10))
    ground.archive()
    done = ground.log[partition(ground)][3].position
    join(ground, "billing", done, silent_ms=5_000)
    lease = ground.store.operations.keys.lease(partition(ground), "billing")
    ground.server.admin.hset(lease, mapping={"owner": "m", "until": 2**50})

    assert ground.trim(group_grace_ms=1).trimmed == 3


def test_the_group_that_is_furthest_behind_decides(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    log = ground.log[partition(ground)]
    join(ground, "billing", log[8].position)
    join(ground, "audit", log[2].position)
    join(ground, "mail", log[5].position)

    report = ground.trim()

    assert report.trimmed == 2
    assert "audit" in positions(report, ground)


def test_a_reader_that_reports_is_waited_for_as_long_as_it_does(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    place = ground.log[partition(ground)][3].position
    ground.store.report_reader("rows", {place.partition: place})

    report = ground.trim()

    assert report.trimmed == 3
    assert positions(report, ground) == f"reader 'rows' has come to {place}"
    eventually(lambda: ground.trim(group_grace_ms=1).trimmed == 6)


async def test_readers_report_on_asyncio_too(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    place = ground.log[partition(ground)][3].position
    async with EventStore.open(ground.server.url, namespace=ground.namespace, partitions=2) as st:
        await st.report_reader("rows", {place.partition: place})

    assert ground.trim().trimmed == 3


def test_a_dry_run_counts_and_changes_nothing(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.append("over", noted(), ended())
    ground.archive()
    before, cold = contents(ground.server, ground.namespace), ground.opened_archive().cold_runs(9)

    report = ground.trim(dry_run=True)

    assert contents(ground.server, ground.namespace) == before
    assert ground.opened_archive().cold_runs(9) == cold
    done = ground.trim()
    assert (report.trimmed, report.left) == (done.trimmed, done.left)
    assert (report.dropped_runs, done.dropped_runs) == (1, 1)


def test_many_entries_leave_in_many_calls(ground: Ground) -> None:
    for _ in range(3):
        ground.append(RUN, *notes(900))
    ground.archive()

    report = ground.trim(max_trim_entries=500)

    assert (report.trimmed, report.left) == (2_699, 1)
    assert ground.store.load(RUN) == ground.runs[RUN]


def test_without_an_archive_nothing_is_trimmed(ground: Ground) -> None:
    ground.append(RUN, *notes(10))

    report = ground.trim()

    assert (report.archive, report.trimmed, report.partitions) == (None, 0, ())
    assert ground.length(partition(ground)) == 10
    assert not ground.path.exists()


def test_the_archive_of_another_store_trims_nothing(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    name = f"{ground.namespace}-x"
    with ground.open(namespace=name) as other:
        other.append(RUN, notes(3))

        with pytest.raises(StoreMismatch):
            Trimmer(other).run_once()

        assert len(other.load(RUN)) == 3
    ground.server.forget(name)


def test_a_log_that_lost_what_is_archived_is_told_and_not_trimmed(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    keys = ground.store.operations.keys
    first = ground.log[partition(ground)][4].position
    for event in ground.log[partition(ground)][5:]:
        ground.server.admin.xdel(keys.log(partition(ground)), event.position.entry_id)
    ground.server.admin.set(keys.tail(partition(ground)), first.entry_id)

    with pytest.raises(LogRegressed):
        ground.trim()

    assert ground.length(partition(ground)) == 5


def test_a_log_whose_end_was_replaced_is_told_and_not_trimmed(ground: Ground) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    keys, number = ground.store.operations.keys, partition(ground)
    last = ground.log[number][-1].position
    ground.server.admin.xdel(keys.log(number), last.entry_id)
    replaced = f"{last.ms + 1}-{last.n}"
    ground.server.admin.xadd(keys.log(number), {"r": "x"}, id=replaced)
    ground.server.admin.set(keys.tail(number), replaced)

    with pytest.raises(LogRegressed):
        ground.trim()

    assert ground.length(number) == 10


def test_it_goes_on_until_it_is_stopped(ground: Ground) -> None:
    stop, reports = threading.Event(), list[TrimReport]()
    with ground.open() as store:
        trimmer = Trimmer(store)
        thread = threading.Thread(
            target=trimmer.run, args=(stop,), kwargs={"every_ms": 10, "on_report": reports.append}
        )
        thread.start()
        ground.append(RUN, *notes(10))
        ground.archive()

        eventually(lambda: sum(report.trimmed for report in reports) == 9)

        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("name", ["group_grace_ms", "max_trim_entries"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "5"])
def test_a_setting_that_cannot_be_is_refused(ground: Ground, name: str, value: object) -> None:
    with pytest.raises(InvalidArgument):
        Trimmer(ground.store, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "report", ["rubbish", "{}", '{"at_ms": "x", "positions": {}}', '{"at_ms": 1, "positions": [1]}']
)
def test_what_is_no_report_of_a_reader_holds_nothing_back(ground: Ground, report: str) -> None:
    ground.append(RUN, *notes(10))
    ground.archive()
    ground.server.admin.hset(ground.store.operations.keys.readers, "somebody", report)
    assert ground.trim().trimmed == 9
