"""Plans of the queries over calls, agents, words, values and sums, on generated runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from histories import EPOCH, project
from read_side.agent_runs import RUNS, log

from projections import Agents, Calls, Database, Pauses, Runs, Stats, Timeline, open_database
from projections.search import feed_search
from queries.test_query_plans import Planned, database, full_scans, plan_of, sorts

__all__ = ["database", "plan_of"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "runs.db"
    project(path, log({f"{name}-{n}": events for name, events in RUNS.items() for n in range(40)}))
    with open_database(path) as database:
        while feed_search(database):
            pass
    return path


PAGES: dict[str, Callable[[Database], Any]] = {
    "calls_by_start": lambda database: Calls(database).list_calls(),
    "calls_by_kind (kind=?)": lambda database: Calls(database).list_calls(kind="http"),
    "calls_by_name (name=?)": lambda database: Calls(database).list_calls(name="bank"),
    "PRIMARY KEY (run_id=?)": lambda database: Calls(database).list_calls(run_id="ask-1-7"),
    "threads_by_time": lambda database: Agents(database).threads(since=EPOCH),
    "messages_by_thread (thread_id=?)": lambda database: Agents(database).messages("t-1"),
    "messages_1 (run_id=?)": lambda database: Agents(database).messages(run_id="ask-1-7"),
    "thread_runs_by_time (thread_id=?)": lambda database: Agents(database).runs(thread_id="t-1"),
    "thread_runs_by_agent (workflow_id=?)": lambda database: Agents(database).runs(agent="planner"),
    "deleted_runs_by_time": lambda database: Runs(database).deleted_runs(),
    "pauses_by_workflow (workflow_id=?)": lambda database: Pauses(database).list_pauses(
        workflow_id="support"
    ),
    "checkpoints_1 (run_id=?)": lambda database: Pauses(database).checkpoints("ask-1-7"),
}


@pytest.mark.parametrize("index", PAGES)
def test_a_page_comes_in_the_order_of_its_index(
    database: Database, plan_of: Planned, index: str
) -> None:
    plan = plan_of(lambda: PAGES[index](database))
    assert index in plan[0]
    assert (full_scans(plan), sorts(plan)) == ([], [])


def test_threads_of_an_agent_are_sought_one_by_one(database: Database, plan_of: Planned) -> None:
    plan = plan_of(lambda: Agents(database).threads(agent="support"))
    assert plan[0] == "SCAN threads USING INDEX threads_by_time"
    assert plan[-1] == "SEARCH r USING PRIMARY KEY (thread_id=?)"
    assert sorts(plan) == []


def test_words_are_sought_in_the_full_text_index_newest_first(
    database: Database, plan_of: Planned
) -> None:
    plan = plan_of(lambda: Timeline(database).search("invoice", workflow_id="support"))
    matched = next(n for n, step in enumerate(plan) if "search_index VIRTUAL TABLE" in step)
    assert "SEARCH s USING COVERING INDEX search_texts_by_number (number=?)" in plan[matched + 1]
    assert "SEARCH t USING INDEX sqlite_autoindex_timeline_1" in plan[matched + 2]
    assert sorts(plan) == []


def test_words_of_one_run_are_read_in_its_own_texts(database: Database, plan_of: Planned) -> None:
    plan = plan_of(lambda: Timeline(database).search("invoice", run_id="ask-1-7"))
    assert any("SEARCH s USING PRIMARY KEY (run_id=?)" in step for step in plan)
    assert full_scans(plan) == []


def test_how_words_begin_is_read_in_the_newest_texts_before_the_index_gathers_all(
    database: Database, plan_of: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a page that the newest texts fill
    plan = plan_of(lambda: Timeline(database).search("inv*", limit=2))
    window = "SEARCH s USING INDEX search_texts_by_number (number>? AND number<?)"
    assert any(window in step for step in plan)
    assert not any("search_index VIRTUAL TABLE" in step for step in plan)
    assert (full_scans(plan), sorts(plan)) == ([], [])
    # when they do not, the index gives the rest
    monkeypatch.setattr("projections.queries.search.NEWEST", 3)
    plan = plan_of(lambda: Timeline(database).search("inv*", limit=50))
    assert any("search_index VIRTUAL TABLE" in step for step in plan)


def test_runs_with_words_that_begin_so_are_read_in_order_where_the_newest_texts_have_many(
    database: Database, plan_of: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.queries.narrowing.OFTEN", 3)
    plan = plan_of(lambda: Runs(database).list_runs(text="inv*"))
    assert any("SEARCH s USING PRIMARY KEY (run_id=?)" in step for step in plan)
    assert not any("search_index VIRTUAL TABLE" in step for step in plan)
    assert (full_scans(plan), sorts(plan)) == ([], [])


@pytest.mark.parametrize("rare", [0, 1_000])
@pytest.mark.parametrize(
    "filters",
    [{"text": "invoice"}, {"labels": {"team": "x"}}, {"text": "failed", "status": "failed"}],
)
def test_runs_with_words_or_labels_are_looked_up_or_read_in_order(
    database: Database,
    plan_of: Planned,
    monkeypatch: pytest.MonkeyPatch,
    filters: dict[str, Any],
    rare: int,
) -> None:
    monkeypatch.setattr("projections.queries.narrowing.RARE", rare)
    plan = plan_of(lambda: Runs(database).list_runs(**filters))
    assert full_scans(plan) == []
    if rare == 0:
        assert sorts(plan) == []


VALUES = [
    {"field": "workflow_id"},
    {"field": "label"},
    {"field": "label_value", "label": "team"},
    {"field": "node_id"},
    {"field": "node_id", "workflow_id": "support"},
    {"field": "definition_hash"},
    {"field": "agent"},
]


@pytest.mark.parametrize("asked", VALUES)
def test_different_values_are_leapt_to(
    database: Database, plan_of: Planned, asked: dict[str, Any]
) -> None:
    plan = plan_of(lambda: Runs(database).distinct(**asked))
    read = [step for step in plan if step.startswith(("SEARCH", "SCAN")) and "leaps" not in step]
    assert read
    assert all("SEARCH" in step and "INDEX" in step for step in read)


@pytest.mark.parametrize(
    "question",
    [
        lambda database: Stats(database).activity(),
        lambda database: Stats(database).activity("hour", workflow_id="support", since=EPOCH),
        lambda database: Stats(database).run_durations(),
        lambda database: Stats(database).node_durations(),
        lambda database: Stats(database).node_durations(workflow_id="support", node_id="look"),
        lambda database: Stats(database).waits(),
        lambda database: Runs(database).workflow_versions(),
        lambda database: Runs(database).workflow_versions("support"),
    ],
)
def test_what_adds_up_reads_indexes_and_no_row(
    database: Database, plan_of: Planned, question: Callable[[Database], Any]
) -> None:
    plan = plan_of(lambda: question(database))
    read = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    assert read
    assert all("COVERING INDEX" in step for step in read)


def test_attempts_are_those_of_one_run(database: Database, plan_of: Planned) -> None:
    plan = plan_of(lambda: Runs(database).attempts("ask-1-7"))
    read = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    assert all("PRIMARY KEY (run_id=?)" in step for step in read)
