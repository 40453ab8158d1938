"""A log that went back, and files put back from old copies: gone on with rightly, or told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from histories import ListLog, placed, record
from samples import noted
from servers import Server

from eventstore import SyncEventStore
from eventstore.errors import HistoryGap, LogRegressed, StoreMismatch
from eventstore.events import NewEvent
from projections import (
    Projector,
    Runs,
    Timeline,
    open_database,
    projector_status,
    rebuild,
    verify,
)
from projector_operations.samples import ALL, a_log, rows


def test_a_database_put_back_from_an_old_copy_goes_on_from_there(path: Path) -> None:
    # given a copy of an earlier day
    events = a_log(6)
    log = ListLog(events[:25])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    old = path.with_name("old.db")
    shutil.copy(path, old)
    log.extend(events[25:])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    expected = rows(path)
    # when it is put back
    old.replace(path)
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        assert projector.run_to_end() == len(events) - 25
    # then everything is there again
    assert rows(path) == expected


def test_a_database_put_back_under_a_running_projector_is_noticed(path: Path) -> None:
    # given a projector, and a reader of the same database
    events = a_log(6)
    log = ListLog(events[:25])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    shutil.copy(path, path.with_name("old.db"))
    log.extend(events[25:40])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
        assert Runs(database).totals().events == 40
        # when another file takes the place of the one they have open
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink()
        path.with_name("old.db").replace(path)
        # then the projector stops and says so, and the reader sees the new file
        log.extend(events[40:])
        with pytest.raises(StoreMismatch, match="another file has taken the place"):
            projector.run_to_end()
        assert Runs(database).totals().events == 25
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
        assert verify(log, database, projections=ALL).found == 0


def test_rows_put_back_by_another_connection_are_gone_on_from(path: Path) -> None:
    # given a projector at work, with positions in memory
    events = a_log(6)
    log = ListLog(events[:25])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
        with open_database(path.with_name("old.db")) as old, database.snapshot() as tx:
            tx._connection.backup(old._writer)  # type: ignore[attr-defined]
        log.extend(events[25:40])
        projector.run_to_end()
        # when the file is written over from a copy, by SQLite's own means
        with open_database(path.with_name("old.db")) as old, old.snapshot() as tx:
            tx._connection.backup(database._writer)  # type: ignore[arg-type]
        log.extend(events[40:])
        projector.run_to_end()
        # then nothing is skipped
        assert verify(log, database, projections=ALL).found == 0
        assert Timeline(database).counts_by_type()["order.shipped"] == 6


def test_projections_at_different_places_notice_each_that_the_log_went_back(path: Path) -> None:
    # given one projection that is ahead of the others
    log = ListLog(a_log(3))
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_once()
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.pause("runs")
        more = [NewEvent("a.b", {"n": n}) for n in range(6)]
        log.extend(placed([*log.events, *record("x", more)], 4)[30:])
        projector.run_to_end()
    # when what came last is lost and something else stands there, at other moments
    at = len(log.events) - 3
    lost, kept = log.events[at:], log.events[:at]
    other = ListLog(kept)
    for event in lost:
        position = event.position._replace(ms=event.position.ms + 500)
        other.extend([replace(event, position=position)])
    with open_database(path) as database, Projector(other, database, ALL) as projector:
        projector.resume("runs")
        # then it stops, and status says why
        with pytest.raises(LogRegressed):
            projector.run_to_end()
        stop = projector_status(database).stop
        assert stop is not None
        assert stop.error == "LogRegressed"
        # and a rebuild from the log as it is now puts it right
        projector.close()
        rebuild(other, database, projections=ALL)
        projector.run_to_end()
        assert verify(other, database, projections=ALL).found == 0
        assert projector_status(database).stop is None


@pytest.fixture
def old_server(launch: Callable[..., Server]) -> Server:
    return launch("valkey")


def test_a_server_put_back_from_an_old_copy_stops_the_projector_until_its_rows_are_rebuilt(
    old_server: Server, path: Path
) -> None:
    # given rows of events that the server lost
    with (
        SyncEventStore.open(old_server.url) as store,
        open_database(path) as database,
        Projector(store, database) as projector,
    ):
        store.append("kept", [noted() for _ in range(5)])
        result = store.append("lost", [noted() for _ in range(5)])
        projector.run_to_end()
        admin, keys = old_server.admin, store.operations.keys
        partition = result.positions[0].partition
        for position in result.positions:
            admin.xdel(keys.log(partition), position.entry_id)
        admin.delete(keys.tail(partition), keys.run("lost"), keys.head("lost"))
        # when the projector goes on
        with pytest.raises(LogRegressed):
            projector.run_to_end()
        # then it stops with a clear state, and nothing changed
        stop = projector_status(database).stop
        assert stop is not None
        assert (stop.error, "lost" in stop.message) == ("LogRegressed", True)
        assert Runs(database).totals().runs == 2
        projector.close()
        # and a rebuild makes the rows of what is there
        rebuild(store, database)
        store.append("new", [noted()])
        projector.run_to_end()
        assert {run.run_id for run in Runs(database).list_runs().items} == {"kept", "new"}
        assert projector_status(database).stop is None
        assert verify(store, database).found == 0


def test_a_gap_between_the_rows_and_the_log_stops_the_projector_and_is_told(path: Path) -> None:
    class Trimmed(ListLog):
        def read_log(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
            raise HistoryGap("partition 0", "entry 5", "0:9-9")

    log = a_log(2)
    with open_database(path) as database:
        with Projector(ListLog(log[:5]), database, ALL) as projector:
            projector.run_to_end()
        with Projector(Trimmed([]), database, ALL) as projector, pytest.raises(HistoryGap):
            projector.run_to_end()
        stop = projector_status(database).stop
        assert stop is not None
        assert stop.error == "HistoryGap"
        with Projector(ListLog(log), database, ALL) as projector:
            projector.run_to_end()
        assert projector_status(database).stop is None
