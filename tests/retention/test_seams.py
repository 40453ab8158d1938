"""The seam between archive and Redis where it is hard to hit by chance."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from faults import eventually
from samples import ended, noted, notes, paused

from eventstore import AppendResult, HistoryGap, LogRegressed, OutcomeUnknown
from eventstore.plan import Plan, Wait
from eventstore.waiting import Awaited
from retention.ground import Ground, expired

RUN = "run"


def before_waiting(plan: Plan[Any], act: Callable[[], object]) -> Plan[Any]:
    """Run a plan, and act just before it waits at the server."""
    result = None
    while True:
        try:
            step = plan.send(result)
        except StopIteration as finished:
            return finished.value
        if isinstance(step, Wait):
            act()
        result = yield step


def two_partitions(ground: Ground) -> tuple[str, str]:
    """Give two runs of different partitions."""
    partition_of = ground.store.operations.keys.partition_of
    names = [f"run-{number}" for number in range(9)]
    return names[0], next(n for n in names if partition_of(n) != partition_of(names[0]))


def wait_a_millisecond(ground: Ground) -> None:
    def now() -> tuple[int, int]:
        seconds, micros = ground.server.admin.time()
        return seconds, micros // 1000

    before = now()
    eventually(lambda: now() > before)


def test_after_a_position_whose_time_was_trimmed_the_others_go_on_from_then(
    ground: Ground,
) -> None:
    first, second = two_partitions(ground)
    for _ in range(4):
        for run in (first, second):
            wait_a_millisecond(ground)
            ground.append(run, noted())
    ground.archive_and_trim()

    for place, event in enumerate(ground.all):
        assert list(ground.store.read_all(event.position)) == ground.all[place + 1 :]


def test_what_was_trimmed_while_a_follower_began_to_wait_is_not_skipped(ground: Ground) -> None:
    ground.append(RUN, noted())
    reached = {ground.runs[RUN][0].position.partition: ground.runs[RUN][0].position}

    def write_and_trim() -> None:
        ground.append(RUN, *notes(5))
        ground.archive_and_trim()

    plan = ground.store.operations.read_log(reached, 10, block_ms=1_000)
    found = ground.store.perform(before_waiting(plan, write_and_trim))

    assert found
    assert found == ground.runs[RUN][1 : 1 + len(found)]


def test_a_run_that_ended_and_went_while_somebody_began_to_wait_for_it_is_found(
    ground: Ground,
) -> None:
    ground.append(RUN, noted())

    def end_and_trim() -> None:
        if not ground.store.head(RUN).closed:
            ground.append(RUN, noted(), ended())
            ground.archive_and_trim()

    plan = ground.store.operations.wait(Awaited(RUN, "run.completed", 30))
    found = ground.store.perform(before_waiting(plan, end_and_trim))

    assert found == ground.runs[RUN][-1]


def test_what_was_dropped_while_somebody_began_to_wait_is_not_skipped(ground: Ground) -> None:
    ground.append(RUN, noted())

    def park_and_go_on() -> None:
        if len(ground.runs[RUN]) == 1:
            ground.append(RUN, paused(), expired())
            ground.archive_and_trim()
            ground.append(RUN, noted("later"))

    plan = ground.store.operations.wait(Awaited(RUN, 2, 30))
    found = ground.store.perform(before_waiting(plan, park_and_go_on))

    assert found == ground.runs[RUN][1]


def test_a_hole_in_redis_is_filled_by_the_archive(ground: Ground) -> None:
    ground.append(RUN, *notes(8))
    ground.archive()
    keys = ground.store.operations.keys
    for event in (ground.runs[RUN][1], ground.runs[RUN][7]):
        at = event.position
        ground.server.admin.xdel(keys.log(at.partition), at.entry_id)
        ground.server.admin.xdel(keys.run(RUN), f"{event.version}-0")

    assert ground.store.load(RUN) == ground.runs[RUN]
    assert list(ground.store.read_run(RUN, backwards=True)) == ground.runs[RUN][::-1]
    assert list(ground.store.read_all()) == ground.runs[RUN]
    assert ground.store.read_log({}, limit=2) == ground.runs[RUN][:2]

    with ground.open(archive=None) as store:
        for read in (store.load, lambda run: list(store.read_run(run, backwards=True))):
            with pytest.raises(HistoryGap):
                read(RUN)


def test_a_run_that_is_behind_what_was_read_of_it_is_told(ground: Ground) -> None:
    ground.append(RUN, *notes(3))

    with pytest.raises(LogRegressed):
        ground.store.perform(ground.store.operations.run_after(RUN, 4))
    with pytest.raises(LogRegressed):
        ground.store.perform(ground.store.operations.run_after("nobody", 4))


def test_an_archive_that_reaches_not_far_enough_settles_no_retry(ground: Ground) -> None:
    ground.append(RUN, noted())
    ground.archive()
    old = ground.path.with_name("old.archive.db")
    shutil.copy(ground.path, old)
    ground.append(RUN, noted(), paused(), expired(), append_id="id")
    ground.archive_and_trim()
    assert not ground.holds_stream(RUN)

    with ground.open(archive=old) as store, pytest.raises(OutcomeUnknown):
        store.append(RUN, [noted(), paused(), expired()], append_id="id")

    again = ground.append(RUN, noted(), paused(), expired(), append_id="id")
    assert isinstance(again, AppendResult)
    assert again.deduplicated


def test_one_busy_partition_fills_the_batch_of_a_follower(ground: Ground) -> None:
    ground.append(RUN, *notes(100))

    found = ground.store.read_log({}, limit=60)

    assert found == ground.runs[RUN][:60]
