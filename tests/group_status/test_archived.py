"""Groups whose next events have left the log for the archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import eventually
from samples import notes
from servers import AnyServer

from eventstore import InvalidArgument, Position, SyncEventStore
from eventstore.archive import Archive, Archiver
from eventstore.clock import from_ms
from eventstore.groups.status import SyncGroups


@pytest.fixture
def trimmed(
    server: AnyServer, namespace: str, tmp_path: Path
) -> Iterator[tuple[SyncEventStore, list[Position]]]:
    """A store of one partition with six events, the first four of them in the archive alone."""
    path = tmp_path / "archive.db"
    with SyncEventStore.open(server.url, namespace=namespace, partitions=1, archive=path) as store:
        positions: list[Position] = []
        for _ in range(6):
            positions.extend(store.append("run", notes(1)).positions)
            eventually(lambda: _now_ms(server) > positions[-1].ms + 2)
        with (
            Archive.open(
                path, identity=store.identity, namespace=namespace, partitions=1
            ) as archive,
            Archiver(store, archive) as archiver,
        ):
            archiver.run_to_end()
        server.admin.xtrim(store.operations.keys.log(0), maxlen=2, approximate=False)
        yield store, positions


def _now_ms(server: AnyServer) -> int:
    seconds, micros = server.admin.time()
    return int(seconds * 1000 + micros // 1000)


def test_the_age_of_what_waits_comes_from_the_archive(
    trimmed: tuple[SyncEventStore, list[Position]], server: AnyServer
) -> None:
    # given a group that is through with the first event
    store, positions = trimmed
    groups = SyncGroups(store)
    groups.create("mail", positions[0])
    # when somebody looks
    before_ms = _now_ms(server)
    (lag,) = groups.lag("mail")
    # then the second one's age is told, exactly
    assert (lag.lag_events, lag.mode, lag.lag_ms_is_least) == (5, "archive", False)
    second_ms = positions[1].ms
    assert before_ms - second_ms <= lag.lag_ms <= _now_ms(server) - second_ms


def test_without_the_archive_the_age_is_a_lower_bound(
    trimmed: tuple[SyncEventStore, list[Position]], server: AnyServer, namespace: str
) -> None:
    store, positions = trimmed
    SyncGroups(store).create("mail", positions[0])

    with SyncEventStore.open(server.url, namespace=namespace, partitions=1) as without:
        (lag,) = SyncGroups(without).lag("mail")

    assert (lag.lag_events, lag.mode, lag.lag_ms_is_least) == (5, "archive", True)
    assert lag.lag_ms <= _now_ms(server) - positions[4].ms


def test_a_group_is_reset_to_what_only_the_archive_has(
    trimmed: tuple[SyncEventStore, list[Position]], server: AnyServer
) -> None:
    # given a group at the end
    store, positions = trimmed
    groups = SyncGroups(store)
    groups.create("mail", "end")
    # when it is reset to a position, or a time, that left the log
    by_position = groups.reset("mail", positions[1], by="ann")
    by_time = groups.reset("mail", from_ms(positions[2].ms), by="ann")
    # then it goes on from that entry, from the archive
    assert by_position.moves[0].goes_to == by_time.moves[0].goes_to == positions[1]
    (lag,) = groups.lag("mail")
    assert (lag.done, lag.lag_events, lag.mode) == (positions[1], 4, "archive")
    lease = server.admin.hget(store.operations.keys.lease(0, "mail"), "mode")
    assert lease == b"archive"


def test_a_position_that_the_archive_lacks_is_of_another_store(
    trimmed: tuple[SyncEventStore, list[Position]],
) -> None:
    store, positions = trimmed
    groups = SyncGroups(store)
    groups.create("mail", "end")

    with pytest.raises(InvalidArgument, match="another store"):
        groups.reset("mail", positions[1]._replace(ms=positions[1].ms - 1), by="ann")
