"""The projector: each event counts once, and nobody else writes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import eventually
from histories import EPOCH, ListLog, dump, placed, project, record
from shipments import Shipments, orders, shipments, shipped

from eventstore.errors import (
    HistoryGap,
    InvalidArgument,
    ProjectionFailed,
    ServerRefused,
    StoreMismatch,
    WaitTimeout,
)
from eventstore.events import NewEvent, RecordedEvent
from projections import (
    BUILT_IN,
    Database,
    Projection,
    Projector,
    Runs,
    Timeline,
    Transaction,
    open_database,
    projection_status,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "runs.db") as opened:
        yield opened


def test_it_goes_batch_by_batch_to_the_end(database: Database) -> None:
    told: list[int] = []
    with Projector(ListLog(orders("r", "s")), database, batch_events=4) as projector:
        assert projector.run_once() == 4
        assert projector.run_to_end(told.append) == 2
        assert projector.run_once() == 0
    assert told == [2]
    assert Runs(database).totals().events == 6


def test_it_goes_on_where_another_one_ended(database: Database) -> None:
    log = ListLog(orders("r"))
    with Projector(log, database) as projector:
        projector.run_to_end()
    log.extend(orders("r", each=5)[3:])
    with Projector(log, database) as projector:
        assert projector.run_to_end() == 2
    assert Runs(database).get_run("r").version == 5


def test_it_can_run_again_after_it_was_closed(database: Database) -> None:
    log = ListLog(orders("r"))
    projector = Projector(log, database)
    projector.run_to_end()
    projector.close()
    with Projector(log, database) as other:
        log.extend(orders("r", each=5)[3:])
        other.run_to_end()
    log.extend(orders("r", each=6)[5:])
    assert projector.run_to_end() == 1
    projector.close()
    assert Runs(database).get_run("r").version == 6


def test_a_projection_of_ones_own_gets_each_event_once(database: Database) -> None:
    with Projector(ListLog(orders("r", "s")), database, [*BUILT_IN, Shipments]) as projector:
        projector.run_to_end()
    assert shipments(database) == {"a": 6}


def test_a_projection_added_later_catches_up_and_the_others_count_nothing_twice(
    database: Database,
) -> None:
    log = ListLog(orders("r", "s"))
    with Projector(log, database, batch_events=4) as projector:
        projector.run_once()
    with Projector(log, database, [*BUILT_IN, Shipments], batch_events=2) as projector:
        assert projector.run_to_end() == 6
    assert shipments(database) == {"a": 6}
    assert Timeline(database).counts_by_type() == {"order.shipped": 6}


def test_a_projection_that_raises_stops_before_its_event_and_the_others_go_on(
    database: Database,
) -> None:
    # given a third event that the projection cannot take
    log = placed(record("r", [shipped("a", 1), shipped("a", 2), NewEvent("order.shipped")]))
    with Projector(ListLog(log), database, [*BUILT_IN, Shipments]) as projector:
        # when it is projected
        with pytest.raises(ProjectionFailed, match="'shipments' could not take") as caught:
            projector.run_to_end()
        # then the error says where, the projection stands there, and the others have it all
        assert caught.value.projection == "shipments"
        assert caught.value.event == log[2]
        assert caught.value.position == log[2].position
        assert isinstance(caught.value.__cause__, KeyError)
        assert shipments(database) == {"a": 3}
        assert Runs(database).totals().events == 3


class Moody(Shipments):
    """Takes nothing that was shipped while it is angry."""

    angry = True

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        if self.angry and event.type == "order.shipped":
            raise RuntimeError
        super().apply(tx, event)


def test_resumed_after_a_failure_the_same_projector_goes_on_as_if_there_had_been_none(
    database: Database, tmp_path: Path
) -> None:
    # given a projector whose second batch failed after the first projections had written theirs
    pause = {"pause_id": "p", "state": {}, "window_ms": None, "on_expiry": "park"}
    started = NewEvent("node.started", {"node_id": "n"}, occurred_at=EPOCH)
    run = [started, started, NewEvent("run.paused", pause, occurred_at=EPOCH)]
    log = placed(record("r", [*run, shipped("a", 1)]))
    moody = Moody()
    with Projector(ListLog(log), database, [*BUILT_IN, moody], batch_events=2) as projector:
        projector.run_once()
        with pytest.raises(ProjectionFailed):
            projector.run_to_end()
        # when the cause is gone
        moody.angry = False
        projector.resume("shipments")
        projector.run_to_end()
    # then all rows are there
    project(tmp_path / "whole.db", log, [*BUILT_IN, Shipments])
    assert dump(database.path) == dump(tmp_path / "whole.db")


def test_a_projection_that_forgets_writes_nothing_of_what_it_kept_back(database: Database) -> None:
    for make in BUILT_IN:
        projection = make()
        with database.transaction() as tx:
            projection.apply(tx, orders("r")[0])
            projection.forget()
            projection.flush(tx)
    assert Timeline(database).counts_by_type() == {}
    assert Runs(database).totals().runs == 0


def test_rows_that_cannot_be_written_at_the_end_of_a_batch_are_a_failure_too(
    database: Database,
) -> None:
    class Late(Shipments):
        def flush(self, tx: Transaction) -> None:
            tx.execute("INSERT INTO missing VALUES (1)")

    with (
        Projector(ListLog(orders("r")), database, [Late]) as projector,
        pytest.raises(ProjectionFailed, match=r"order.shipped at version 1 .*no such table"),
    ):
        projector.run_to_end()


def test_a_run_that_misses_events_is_an_error_and_nothing_is_written(database: Database) -> None:
    log = placed(e for e in record("r", [shipped("a", 1)] * 3) if e.version != 2)
    with Projector(ListLog(log), database) as projector, pytest.raises(HistoryGap):
        projector.run_to_end()
    assert Timeline(database).counts_by_type() == {}


def test_a_full_disk_is_no_fault_of_a_projection_and_what_stood_goes_on(
    database: Database,
) -> None:
    log = ListLog(orders("r", each=3))
    with Projector(log, database, batch_events=2) as projector:
        projector.run_once()
        limit_pages(database, extra=0)
        big = [NewEvent("a.b", {"x": "x" * 100_000}, occurred_at=EPOCH)]
        log.extend(placed([*log.events, *record("r", big, first_version=4)], 2)[3:])
        with pytest.raises(ServerRefused, match="disk is full"):
            projector.run_to_end()
        limit_pages(database, extra=1_000)
        projector.run_to_end()
    assert Runs(database).get_run("r").version == 4


def limit_pages(database: Database, extra: int) -> None:
    with database.transaction() as tx:
        ((pages,),) = tx.execute("PRAGMA page_count")
        tx.execute(f"PRAGMA max_page_count = {pages + extra}")


def test_a_database_belongs_to_one_store(database: Database) -> None:
    with Projector(ListLog(orders("r"), identity="one"), database) as projector:
        projector.run_to_end()
    with (
        Projector(ListLog(orders("x"), identity="two"), database) as projector,
        pytest.raises(StoreMismatch, match="store one, not from two"),
    ):
        projector.run_to_end()


def test_a_projector_that_was_refused_holds_no_lock(database: Database) -> None:
    with Projector(ListLog(orders("r"), identity="one"), database) as right:
        right.run_to_end()
    with Projector(ListLog([], identity="two"), database) as wrong:
        with pytest.raises(StoreMismatch):
            wrong.run_to_end()
        assert right.run_to_end() == 0
        right.close()


def test_a_second_projector_learns_who_has_the_database(database: Database) -> None:
    log = ListLog(orders("r"))
    with Projector(log, database) as first, Projector(log, database) as second:
        first.run_once()
        with pytest.raises(StoreMismatch, match=str(os.getpid())) as caught:
            second.run_once()
        assert caught.value.holder_pid == os.getpid()
        first.close()
        second.run_once()


@pytest.mark.parametrize(
    ("projections", "settings"),
    [([], {}), ([Shipments, Shipments], {}), (BUILT_IN, {"batch_events": 0})],
)
def test_what_it_cannot_run_with_is_refused(
    database: Database, projections: list[type[Projection]], settings: dict[str, int]
) -> None:
    with pytest.raises(InvalidArgument):
        Projector(ListLog([]), database, projections, **settings)


def test_it_follows_the_log_until_it_is_stopped(database: Database) -> None:
    log = ListLog(orders("r"))
    stop, told = threading.Event(), list[int]()
    with Projector(log, database) as projector:
        thread = threading.Thread(target=projector.run, args=(stop, told.append))
        thread.start()
        eventually(lambda: told == [3])
        log.extend(orders("r", each=5)[3:])
        eventually(lambda: told == [3, 5])
        stop.set()
        thread.join()


def test_waiting_ends_when_the_rows_show_what_was_appended(database: Database) -> None:
    log = ListLog(orders("r"))
    last = log.events[-1].position
    with Projector(log, database, batch_events=1) as projector:
        projector.run_once()
        with pytest.raises(WaitTimeout):
            Runs(database).wait_for([last], timeout=0.02)
        waiting = threading.Thread(target=Timeline(database).wait_for, args=([last], 10))
        waiting.start()
        projector.run_to_end()
        waiting.join()
        projector.wait_for(event.position for event in log.events)


def test_status_says_how_far_each_projection_is(database: Database) -> None:
    log = ListLog(orders("r", "s"))
    with Projector(log, database, batch_events=4) as projector:
        projector.run_once()
        agents, runs, timeline = projector.status()
        projector.run_to_end()
    assert (agents.name, runs.name, timeline.name) == ("agents", "runs", "timeline")
    assert (runs.events, runs.lag_events) == (4, 2)
    assert runs.positions == {e.position.partition: e.position for e in log.events[:4]}
    assert [(s.events, s.lag_events) for s in projection_status(database)] == [(6, None)] * 3


def test_killed_at_any_statement_it_ends_with_the_rows_of_one_that_was_not(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_at_first.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, script.parents[1:3]))},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
