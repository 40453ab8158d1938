"""Every query is served by an index: SQLite's own plans are read, not guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from histories import EPOCH, placed, project
from incidents import made_up_lines, recorded

from projections import Database, Pauses, Runs, Timeline, Transaction, open_database
from projections.queries.pauses import ORDERS as PAUSE_ORDERS
from projections.queries.runs import ORDERS

SMALL_TABLES = {"event_types", "sqlite_master"}
"""Tables of a few rows, which no index makes faster."""

Plan = list[str]
Planned = Callable[[Callable[[], Any]], Plan]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "runs.db"
    project(path, placed(recorded(made_up_lines())))
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path, read_only=True) as opened:
        yield opened


@pytest.fixture
def plan_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Give the plan of the statements that a question asks."""
    asked: list[tuple[str, Any]] = []
    execute = Transaction.execute

    def note(self: Transaction, sql: str, parameters: Any = ()) -> list[Any]:
        asked.append((sql, parameters))
        return execute(self, sql, parameters)

    def plan(question: Callable[[], Any]) -> Plan:
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "execute", note)
            question()
        assert asked
        with database.snapshot() as tx:
            return [
                step[-1]
                for sql, parameters in asked
                for step in tx.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            ]

    return plan


def full_scans(plan: Plan) -> Plan:
    """Give the steps that read a whole table without any index."""
    scans = (re.fullmatch(r"SCAN (\w+)", step) for step in plan)
    return [scan[0] for scan in scans if scan and scan[1] not in SMALL_TABLES]


def sorts(plan: Plan) -> Plan:
    return [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]


@pytest.mark.parametrize("order", ORDERS)
def test_a_list_of_runs_comes_in_the_order_of_its_index(
    database: Database, plan_of: Planned, order: str
) -> None:
    plan = plan_of(lambda: Runs(database).list_runs(order=order))
    assert (full_scans(plan), sorts(plan)) == ([], [])
    assert "runs_by_" in plan[0]


def test_the_next_page_is_sought_not_scanned_for(database: Database, plan_of: Planned) -> None:
    for order in ORDERS:
        cursor = Runs(database).list_runs(order=order, limit=1).next_cursor
        plan = plan_of(lambda: Runs(database).list_runs(order=order, limit=1, cursor=cursor))  # noqa: B023
        assert plan[0].startswith("SEARCH"), plan
        assert sorts(plan) == []


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"status": "paused"}, "runs_by_status (status=?)"),
        ({"workflow_id": "it-incident"}, "runs_by_workflow (workflow_id=?)"),
        ({"parent": "p"}, "runs_by_parent (parent=?)"),
        ({"created_after": EPOCH}, "runs_by_created (created_ms>?)"),
        ({"updated_before": EPOCH, "order": "-updated"}, "runs_by_updated (updated_ms<?)"),
        ({"ended_after": EPOCH, "order": "ended"}, "runs_by_ended (ended_ms>?)"),
    ],
)
def test_a_filter_and_its_order_share_an_index(
    database: Database, plan_of: Planned, filters: dict[str, Any], index: str
) -> None:
    plan = plan_of(lambda: Runs(database).list_runs(**filters))
    assert plan == [f"SEARCH runs USING INDEX {index}"]


@pytest.mark.parametrize(
    "filters",
    [
        {"labels": {"team": "x"}},
        {"labels": {"team": "x", "rank": 1}, "status": "paused"},
        {"status": ["paused", "running"]},
        {"status": "paused", "workflow_id": "it-incident"},
        {"status": "paused", "order": "-updated"},
        {"updated_after": EPOCH},
        {"ended_before": EPOCH},
    ],
)
def test_no_filter_of_runs_reads_the_whole_table(
    database: Database, plan_of: Planned, filters: dict[str, Any]
) -> None:
    assert full_scans(plan_of(lambda: Runs(database).list_runs(**filters))) == []


@pytest.mark.parametrize(
    "question",
    [
        lambda database: Runs(database).get_run("incident-1"),
        lambda database: Runs(database).nodes("incident-1"),
        lambda database: Runs(database).counts_by_status(),
        lambda database: Runs(database).workflow_ids(),
        lambda database: Runs(database).longest_run(),
        lambda database: Runs(database).totals(),
        lambda database: Timeline(database).spans("incident-1"),
        lambda database: Timeline(database).counts_by_type(),
        lambda database: Pauses(database).counts_by_reason(),
        lambda database: Pauses(database).counts_by_status(),
        lambda database: Pauses(database).paused_seconds(),
        lambda database: Pauses(database).late_resumes(),
        lambda database: Pauses(database).checkpoint("incident-1"),
        lambda database: Pauses(database).checkpoint("incident-1", 3),
    ],
)
def test_no_other_question_reads_a_whole_table(
    database: Database, plan_of: Planned, question: Callable[[Database], Any]
) -> None:
    assert full_scans(plan_of(lambda: question(database))) == []


@pytest.mark.parametrize(
    "question",
    [
        lambda database: Runs(database).counts_by_status(),
        lambda database: Runs(database).workflow_ids(),
        lambda database: Pauses(database).counts_by_reason(),
        lambda database: Pauses(database).counts_by_status(),
        lambda database: Pauses(database).paused_seconds(),
        lambda database: Pauses(database).late_resumes(),
    ],
)
def test_what_counts_everything_reads_an_index_and_no_row(
    database: Database, plan_of: Planned, question: Callable[[Database], Any]
) -> None:
    plan = plan_of(lambda: question(database))
    assert all("COVERING INDEX" in step for step in plan if "SCAN" in step or "SEARCH" in step)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"run_id": "incident-1"}, "sqlite_autoindex_timeline_1 (run_id=?)"),
        ({"run_id": "incident-1", "since": EPOCH, "sources": "pause"}, "(run_id=?)"),
        ({"workflow_id": "it-incident"}, "timeline_by_workflow (workflow_id=?)"),
        (
            {"workflow_id": "it-incident", "since": EPOCH, "types": "run.paused"},
            "timeline_by_workflow (workflow_id=? AND occurred_ms>?)",
        ),
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_timeline_is_read_along_its_index(
    database: Database, plan_of: Planned, filters: dict[str, Any], index: str, newest_first: bool
) -> None:
    ask = Timeline(database).timeline
    plan = plan_of(lambda: ask(**filters, newest_first=newest_first))
    assert index in plan[0]
    assert sorts(plan) == []


@pytest.mark.parametrize("order", PAUSE_ORDERS)
def test_a_list_of_pauses_comes_in_the_order_of_its_index(
    database: Database, plan_of: Planned, order: str
) -> None:
    plan = plan_of(lambda: Pauses(database).list_pauses(order=order))
    assert (full_scans(plan), sorts(plan)) == ([], [])


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"status": "open"}, "INDEX pauses_by_status (status=?)"),
        ({"reason": "wait"}, "INDEX pauses_by_reason (reason=?)"),
        (
            {"expiring_before": EPOCH, "order": "expires"},
            "INDEX pauses_by_expiry (expires_ms>? AND expires_ms<?)",
        ),
    ],
)
def test_a_filter_of_pauses_and_its_order_share_an_index(
    database: Database, plan_of: Planned, filters: dict[str, Any], index: str
) -> None:
    plan = plan_of(lambda: Pauses(database).list_pauses(**filters))
    assert plan == [f"SEARCH pauses USING {index}"]
