"""A server that lost what was archived is told of, by every reader; nothing is silently short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from samples import contents, ended, go_back, noted, notes
from survival.test_damage import rewrite

from eventstore import (
    CorruptEvent,
    EventStore,
    HistoryGap,
    LogRegressed,
    RunNotFound,
    StoreMismatch,
    WaitTimeout,
)
from retention.ground import PAGE, Ground
from retention.test_seams import wait_a_millisecond

RUN = "run"

READERS: dict[str, Callable[[Ground], Any]] = {
    "load": lambda ground: ground.store.load(RUN),
    "load the rest": lambda ground: ground.store.load(RUN, after=2),
    "head": lambda ground: ground.store.head(RUN),
    "read a run": lambda ground: list(ground.store.read_run(RUN)),
    "read a run backwards": lambda ground: list(ground.store.read_run(RUN, backwards=True)),
    "read all": lambda ground: list(ground.store.read_all()),
    "read all after": lambda ground: list(ground.store.read_all(ground.all[2].position)),
    "read the log": lambda ground: ground.store.read_log({}, limit=10),
    "follow the log": lambda ground: ground.store.read_log(
        {ground.all[-1].position.partition: ground.all[-1].position}, limit=10
    ),
    "follow from within": lambda ground: ground.store.read_log(
        {ground.all[2].position.partition: ground.all[2].position}, limit=10
    ),
    "wait": lambda ground: ground.store.wait(RUN, 99, timeout=1),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("trimmed", [False, True], ids=["whole", "trimmed"])
def test_redis_emptied_under_readers_is_told(
    ground: Ground, read: Callable[[Ground], Any], trimmed: bool
) -> None:
    ground.append(RUN, *notes(5), ended())
    ground.archive()
    if trimmed:
        ground.trim()
    ground.server.forget(ground.namespace)

    with pytest.raises(LogRegressed):
        read(ground)


@pytest.mark.parametrize("more", [0, 9])
def test_redis_emptied_under_an_open_store_is_told_also_without_an_archive(
    ground: Ground, more: int
) -> None:
    with ground.open(archive=None) as store:
        store.append(RUN, notes(5))
        ground.server.forget(ground.namespace)
        for _ in range(more):
            store.append(RUN, noted("new"))

        with pytest.raises(LogRegressed, match="no store"):
            list(store.read_all())
        with pytest.raises(LogRegressed, match="no store"):
            store.read_log({}, limit=10)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_store_made_anew_beside_an_old_archive_is_told(
    ground: Ground, read: Callable[[Ground], Any]
) -> None:
    ground.append(RUN, *notes(5), ended())
    ground.archive()
    ground.server.forget(ground.namespace)
    ground.store.close()
    ground.store = ground.open()

    with pytest.raises((StoreMismatch, LogRegressed)):
        read(ground)


READERS_WITHOUT_A_PLACE: dict[str, Callable[[Ground], Any]] = {
    "read all": READERS["read all"],
    "read all after": READERS["read all after"],
    "read the log": READERS["read the log"],
}


@pytest.mark.parametrize("more", [1, 9], ids=["fewer", "more"])
@pytest.mark.parametrize(
    "read", READERS_WITHOUT_A_PLACE.values(), ids=list(READERS_WITHOUT_A_PLACE)
)
def test_an_older_copy_that_others_went_on_with_is_told(
    ground: Ground, read: Callable[[Ground], Any], more: int
) -> None:
    """The log is later than what is archived: only numbers and places tell."""
    ground.append(RUN, *notes(3))
    copy = contents(ground.server, ground.namespace)
    ground.append(RUN, *notes(5))
    ground.archive()
    go_back(ground.server, ground.namespace, copy)
    wait_a_millisecond(ground)
    for _ in range(more):
        ground.store.append(RUN, noted("new"))

    with pytest.raises(LogRegressed, match="archive put-back"):
        read(ground)


@pytest.mark.parametrize("more", [0, 1, 9], ids=["none", "fewer", "more"])
def test_a_reader_in_the_middle_is_told_also_without_an_archive(ground: Ground, more: int) -> None:
    with ground.open(archive=None) as store:
        # given a reader that has yet to come to what is then lost
        store.append(RUN, notes(4))
        copy = contents(ground.server, ground.namespace)
        store.append(RUN, notes(5))
        events = store.read_all()
        assert next(events).version == 1
        # when an older copy takes the log's place, and others append to it
        go_back(ground.server, ground.namespace, copy)
        wait_a_millisecond(ground)
        for _ in range(more):
            store.append(RUN, noted("new"))
        # then it does not end as if that were all
        with pytest.raises((LogRegressed, HistoryGap)):
            list(events)


async def test_waiting_on_asyncio_is_told_as_well(ground: Ground) -> None:
    ground.append(RUN, *notes(5), ended())
    ground.archive()
    async with EventStore.open(
        ground.server.url, namespace=ground.namespace, partitions=2, archive=ground.path
    ) as store:
        ground.server.forget(ground.namespace)

        with pytest.raises(LogRegressed):
            await store.wait(RUN, 99, timeout=1)
        with pytest.raises(LogRegressed):
            await store.load(RUN)


def test_a_run_that_nobody_knows_is_still_just_not_found(ground: Ground) -> None:
    ground.append(RUN, *notes(5), ended())
    ground.archive_and_trim()

    with pytest.raises(RunNotFound):
        ground.store.load("nobody")
    with pytest.raises(WaitTimeout):
        ground.store.wait("nobody", 1, timeout=0.01)


def test_what_neither_holds_is_a_gap(ground: Ground) -> None:
    ground.append(RUN, *notes(5))
    ground.append("over", *notes(5), ended())
    ground.archive_and_trim()

    with ground.open(archive=None) as store:
        with pytest.raises(HistoryGap):
            store.load("over")
        with pytest.raises(HistoryGap):
            list(store.read_run("over", backwards=True))
        with pytest.raises(HistoryGap):
            list(store.read_all())
        with pytest.raises(HistoryGap):
            store.read_log({}, limit=10)
        with pytest.raises(HistoryGap):
            store.wait("over", 3, timeout=1)
        assert store.load(RUN) == ground.runs[RUN]


@pytest.mark.parametrize("within", [0, 1])
def test_an_archived_entry_of_another_time_is_no_place_to_go_on_from(
    ground: Ground, within: int
) -> None:
    """The position comes from a log that was lost and grew again to the same length."""
    ground.append(RUN, *notes(9))
    ground.archive_and_trim()
    known = ground.runs[RUN][4].position
    other = known._replace(ms=known.ms - 1 + 2 * within)

    with pytest.raises(LogRegressed):
        ground.store.read_log({known.partition: other}, limit=10)


def test_an_archive_that_appears_later_is_found(ground: Ground) -> None:
    ground.append(RUN, *notes(5), ended())
    with ground.open() as early:
        with pytest.raises(RunNotFound):
            early.load("nobody")

        ground.archive_and_trim()

        assert early.load(RUN) == ground.runs[RUN]


def test_the_variable_names_the_archive(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.append(RUN, noted(), ended())
    ground.archive_and_trim()
    monkeypatch.setenv("RUNSTORE_ARCHIVE", str(ground.path))

    with ground.open(archive=None, settings=PAGE) as store:
        assert store.load(RUN) == ground.runs[RUN]


@pytest.mark.parametrize("shift_ms", [-1, 1])
def test_an_archived_entry_that_was_lost_and_replaced_is_no_mere_hole(
    ground: Ground, shift_ms: int
) -> None:
    """As after a failover to a replica that lagged: the archive still has what it replaced."""
    for _ in range(3):
        ground.append(RUN, noted())
        wait_a_millisecond(ground)
        wait_a_millisecond(ground)
    ground.archive()
    known = ground.runs[RUN][-1].position
    replaced = known._replace(ms=known.ms + shift_ms).entry_id
    keys = ground.store.operations.keys
    rewrite(
        ground.server,
        keys.log(known.partition),
        lambda entry_id, fields: (replaced if entry_id == known.entry_id else entry_id, fields),
    )
    ground.server.admin.set(keys.tail(known.partition), replaced)
    ground.store.append(RUN, noted("after the failover"))

    with pytest.raises((LogRegressed, CorruptEvent)) as told:
        ground.store.read_log({known.partition: known}, limit=10)
    assert shift_ms > 0 or told.type is LogRegressed
