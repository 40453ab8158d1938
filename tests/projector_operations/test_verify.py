"""Verification finds whatever is not as the events make it, and says where."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from histories import ListLog, placed, record

from eventstore.errors import InvalidArgument, StoreMismatch
from eventstore.events import NewEvent, RecordedEvent
from projections import (
    Database,
    Difference,
    Projection,
    Projector,
    Transaction,
    open_database,
    rebuild_run,
    verify,
    verify_sample,
)
from projections.aside import aside_path
from projector_operations.killed import Renewed
from projector_operations.samples import ALL, Picky, a_log, change, rows

RUNS = 8


@pytest.fixture
def log(database: Database) -> ListLog:
    """Give a log that is projected."""
    log = ListLog(a_log(RUNS))
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
    return log


def test_rows_as_the_events_make_them_do_not_differ(
    log: ListLog, database: Database, path: Path
) -> None:
    found = verify(log, database, projections=ALL)
    assert (found.found, found.differences) == (0, [])
    assert found.events == len(ALL) * len(log.events)
    assert not aside_path(path, "verify").exists()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE runs SET status = 'paused' WHERE run_id = 'run-1'",
            Difference("runs", {"run_id": "run-1"}, "status", "paused", "completed"),
        ),
        (
            "UPDATE timeline SET data = CAST(data AS BLOB) WHERE run_id = 'run-1' AND version = 2",
            Difference(
                "timeline",
                {"run_id": "run-1", "version": 2},
                "data",
                b'{"node_id":"n"}',
                '{"node_id":"n"}',
            ),
        ),
        (
            "DELETE FROM shipments WHERE customer = 'c4'",
            Difference(
                "shipments", {"customer": "c4"}, None, None, {"customer": "c4", "amount": 1}
            ),
        ),
        (
            "INSERT INTO shipments VALUES ('x', 7)",
            Difference("shipments", {"customer": "x"}, None, {"customer": "x", "amount": 7}, None),
        ),
    ],
)
def test_one_changed_value_is_found_and_named(
    log: ListLog, database: Database, path: Path, statement: str, expected: Difference
) -> None:
    change(path, statement)
    assert verify(log, database, projections=ALL).differences == [expected]


def test_only_what_the_live_rows_have_taken_in_is_compared(
    log: ListLog, database: Database
) -> None:
    # given projections that stand at different places, and more in the log
    with Projector(log, database, ALL) as projector:
        projector.pause("shipments")
        more = record("late", [NewEvent("order.shipped", {"customer": "z", "amount": 1})] * 3)
        log.extend(placed([*log.events, *more], 4)[len(log.events) :])
        projector.run_to_end()
    log.extend(placed([*log.events, *record("later", [NewEvent("a.b")])], 4)[len(log.events) :])
    assert verify(log, database, projections=ALL).found == 0


def test_the_rows_of_another_version_are_refused(log: ListLog, database: Database) -> None:
    with pytest.raises(StoreMismatch, match="version 1 of it, this code has 2"):
        verify(log, database, projections=[Renewed])
    with pytest.raises(InvalidArgument, match="no projection 'picky' in this database"):
        verify(log, database, projections=[Picky])
    with pytest.raises(InvalidArgument, match="no projection 'x' in this code"):
        verify(log, database, ["x"], ALL)


def test_many_differences_are_counted_and_the_first_ones_kept(
    log: ListLog, database: Database, path: Path
) -> None:
    change(path, "UPDATE timeline SET actor = 'eve'")
    found = verify(log, database, projections=ALL, max_differences=3)
    assert (found.found, len(found.differences)) == (len(log.events), 3)


def test_a_table_that_is_missing_or_has_other_columns_is_told(
    log: ListLog, database: Database, path: Path
) -> None:
    change(path, "ALTER TABLE shipments ADD COLUMN extra")
    (found,) = verify(log, database, projections=ALL).differences
    assert (found.table, found.live) == ("shipments", "other columns than the code has")


def test_tables_without_a_key_are_compared_by_their_rows(database: Database, path: Path) -> None:
    log = ListLog(a_log(3))
    with Projector(log, database, [Renewed]) as projector:
        projector.run_to_end()
    assert verify(log, database, projections=[Renewed]).found == 0
    change(path, "INSERT INTO more VALUES (5)")
    (found,) = verify(log, database, projections=[Renewed]).differences
    assert (found.table, found.key, found.live) == ("more", {"amount": 5}, "1 times")


class Loose(Projection):
    """Keeps numbers in a column that takes any type."""

    name: ClassVar[str] = "loose"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = "CREATE TABLE loose (event_id TEXT PRIMARY KEY, number);"

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        row = (f"{event.run_id} {event.version}", event.version)
        tx.execute("INSERT INTO loose VALUES (?, ?)", row)


def test_a_number_of_another_type_differs(database: Database, path: Path) -> None:
    log = ListLog(a_log(1))
    with Projector(log, database, [Loose]) as projector:
        projector.run_to_end()
    change(path, "UPDATE loose SET number = 3.0 WHERE number = 3")
    (found,) = verify(log, database, projections=[Loose]).differences
    assert (type(found.live), type(found.rebuilt)) == (float, int)


# Samples, and single runs.


def test_a_sample_compares_so_many_runs(log: ListLog, database: Database, path: Path) -> None:
    assert verify_sample(log, database, 3, projections=ALL, seed=1).runs == 3
    change(path, "UPDATE nodes SET label = 'x' WHERE run_id = 'run-2'", "DELETE FROM timeline")
    found = verify_sample(log, database, 1_000, projections=ALL, max_differences=10_000)
    assert found.runs == RUNS
    tables = {(one.table, one.column) for one in found.differences}
    assert tables == {("nodes", "label"), ("timeline", None)}
    assert found.found == 1 + len(log.events)


def test_the_same_seed_draws_the_same_runs(log: ListLog, database: Database, path: Path) -> None:
    change(path, "UPDATE runs SET parent = run_id")
    drawn = [
        [one.key for one in verify_sample(log, database, 3, projections=ALL, seed=5).differences]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_a_run_that_the_log_does_not_know_differs(
    log: ListLog, database: Database, path: Path
) -> None:
    change(path, "INSERT INTO run_labels VALUES ('ghost', 'a', '1')")
    change(path, "UPDATE runs SET run_id = 'ghost' WHERE run_id = 'run-0'")
    found = verify_sample(log, database, 100, projections=ALL)
    assert {one.key["run_id"] for one in found.differences} == {"ghost", "run-0"}


def test_one_run_is_made_anew_and_no_other(log: ListLog, database: Database, path: Path) -> None:
    before = rows(path)
    change(path, "DELETE FROM timeline WHERE run_id = 'run-1'", "UPDATE runs SET snapshot = '{}'")
    written = rebuild_run(log, database, "run-1", ALL)
    assert (written["runs"], written["timeline"], written["calls"]) == (1, 10, 1)
    found = verify(log, database, projections=ALL)
    assert {one.key["run_id"] for one in found.differences} == {
        f"run-{n}" for n in range(RUNS) if n != 1
    }
    assert rows(path)["timeline"] == before["timeline"]


def test_a_projector_at_work_goes_on_from_a_run_made_anew(path: Path) -> None:
    # given a projector that has the state of a run in memory, read from a snapshot that was spoilt
    events = a_log(2)
    log = ListLog(events[:8])
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        projector.run_to_end()
    change(path, """UPDATE runs SET snapshot = replace(snapshot, '"team":', '"spoilt":')""")
    with open_database(path) as database, Projector(log, database, ALL) as projector:
        log.extend(events[8:12])
        projector.run_to_end()
        assert verify(log, database, projections=ALL).found > 0
        # when the runs are made anew, and more of them comes
        for run_id in ("run-0", "run-1"):
            rebuild_run(log, database, run_id, ALL)
        log.extend(events[12:])
        projector.run_to_end()
        # then what follows is right
        assert verify(log, database, projections=ALL).differences == []


def test_a_run_that_nobody_knows_has_no_rows(log: ListLog, database: Database) -> None:
    assert not any(rebuild_run(log, database, "ghost", ALL).values())


def test_a_projector_proves_and_mends_the_rows_of_its_own_projections(
    log: ListLog, database: Database, path: Path
) -> None:
    # given a projector, one projection of which is no built-in one, and wrong rows
    change(path, "UPDATE shipments SET amount = 9 WHERE customer = 'c4'")
    change(path, "UPDATE runs SET status = 'paused' WHERE run_id = 'run-1'")
    with Projector(log, database, ALL) as projector:
        # when it verifies / then it finds what is wrong, of all and of those named
        told: list[int] = []
        found = projector.verify(on_progress=lambda at: told.append(at.events))
        assert {one.table for one in found.differences} == {"shipments", "runs"}
        assert told
        assert [one.table for one in projector.verify("runs").differences] == ["runs"]
        assert len(projector.verify(max_differences=1).differences) == 1
        # and what it makes anew is right again
        assert projector.rebuild_run("run-1")["runs"] == 1
        assert [one.table for one in projector.verify().differences] == ["shipments"]
        projector.rebuild("shipments")
        assert projector.verify().found == 0
        with pytest.raises(InvalidArgument, match="no projection 'x' in this code"):
            projector.verify("x")
