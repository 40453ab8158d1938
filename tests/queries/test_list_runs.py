"""Which runs there are, and what is in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from histories import project, record

from projections import Page, Pauses, Runs, Timeline, open_database
from queries.small_runs import at, event


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "new other broken waiting done"),
        ({"workflow_id": "billing"}, "other"),
        ({"workflow_id": "nobody's"}, ""),
        ({"status": "paused"}, "waiting"),
        ({"status": ["completed", "failed"]}, "broken done"),
        ({"labels": {"team": "x"}}, "waiting done"),
        ({"labels": {"team": "x", "rank": 1}}, "done"),
        ({"labels": {"rank": "1"}}, "waiting"),
        ({"parent": "done"}, "waiting"),
        ({"created_after": at(2)}, "new other broken"),
        ({"created_before": at(2)}, "waiting done"),
        ({"updated_after": at(6)}, "other done"),
        ({"updated_before": at(6)}, "new broken waiting"),
        ({"ended_after": at(5), "ended_before": at(6)}, "broken"),
        ({"order": "created"}, "done waiting broken other new"),
        ({"order": "updated"}, "new broken waiting done other"),
        ({"order": "-updated"}, "other done waiting broken new"),
        ({"order": "ended"}, "broken done"),
        ({"order": "-events"}, "done waiting broken other new"),
        ({"workflow_id": "intake", "status": "failed", "created_after": at(1)}, "broken"),
    ],
)
def test_runs_are_found_by_their_filters_and_in_order(
    runs: Runs, filters: dict[str, Any], found: str
) -> None:
    assert [run.run_id for run in runs.list_runs(**filters).items] == found.split()


def test_a_time_of_another_zone_is_the_same_moment(runs: Runs) -> None:
    elsewhere = at(2).astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert runs.list_runs(created_after=elsewhere) == runs.list_runs(created_after=at(2))


def test_a_run_is_given_with_its_state_and_its_times_in_utc(runs: Runs) -> None:
    run = runs.get_run("done")
    assert (run.status, run.version, run.workflow_id) == ("completed", 6, "intake")
    assert (run.input, run.output, run.state) == (1, 2, {"at": 3})
    assert (run.created_at, run.started_at, run.ended_at) == (at(0), at(1), at(6))
    assert run.created_at.tzinfo is UTC
    assert run.paused_seconds == 7_200
    assert run.labels == {"team": "x", "rank": 1}
    assert runs.get_run("broken").error == {"type": "E", "message": "m"}
    assert runs.get_run("waiting").run_state.pauses["q"].expired


def test_the_nodes_of_a_run_are_given(runs: Runs) -> None:
    (node,) = runs.nodes("done")
    assert (node.node_id, node.label, node.status, node.attempts) == ("n", "Fetch", "completed", 1)
    assert (node.started_at, node.ended_at, node.output) == (at(1), at(2), {"rows": 3})
    assert runs.nodes("new") == []


def test_runs_are_counted(runs: Runs, timeline: Timeline) -> None:
    assert runs.counts_by_status() == {
        "completed": 1,
        "failed": 1,
        "paused": 1,
        "pending": 2,
    }
    assert runs.workflow_ids() == ["billing", "intake"]
    assert timeline.counts_by_type()["run.created"] == 5
    totals = runs.totals()
    assert (totals.runs, totals.events, totals.pauses) == (5, 18, 4)
    assert (totals.first_at, totals.last_at) == (at(0), at(9))
    longest = runs.longest_run()
    assert longest is not None
    assert longest.run_id == "done"


def test_an_empty_database_has_no_runs(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        assert Runs(database).list_runs() == Page([], None)
        assert Runs(database).longest_run() is None
        assert Runs(database).counts_by_status() == {}
        assert Runs(database).totals().first_at is None
        assert Pauses(database).paused_seconds() == 0


def test_labels_that_are_given_anew_replace_the_old_ones(tmp_path: Path) -> None:
    old = event("run.created", 0, labels={"team": "x", "rank": 1})
    new = event("run.created", 1, labels={"team": "y"})
    events = record("r", [old, new])
    project(tmp_path / "runs.db", events[:1])
    project(tmp_path / "runs.db", events)
    with open_database(tmp_path / "runs.db") as database:
        runs = Runs(database)
        assert runs.list_runs(labels={"rank": 1}).items == []
        assert len(runs.list_runs(labels={"team": "y"}).items) == 1
