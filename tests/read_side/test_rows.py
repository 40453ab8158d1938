"""What the rows of calls, attempts, agents and workflow versions tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from histories import dump, project, record

from eventstore.errors import InvalidArgument
from projections import (
    AgentProjection,
    Agents,
    Calls,
    Database,
    RunProjection,
    Runs,
    TimelineProjection,
    open_database,
)
from read_side.agent_runs import at, event, log


def test_a_call_tells_how_it_went_and_what_it_used(database: Database) -> None:
    first, second = Calls(database).list_calls(run_id="ask-1").items

    assert (first.name, first.status, first.usage) == (
        "small",
        "completed",
        {"input_tokens": 10, "output_tokens": 2},
    )
    assert (first.version, first.ended_version, first.node_id) == (4, 5, "look")
    assert (first.started_at, first.ended_at, first.duration_seconds) == (at(2), at(3), 60)
    assert (second.name, second.parent_call_id, second.workflow_id) == ("large", "p", "support")


def test_what_calls_used_is_summed_for_their_run(database: Database) -> None:
    run = Runs(database).get_run("ask-1")

    assert run.usage == {"input_tokens": 40, "output_tokens": 2}
    assert run.counters == {"messages": 2, "calls": 2, "failures": 1}
    assert run.duration_seconds == 600


def test_calls_fail_and_end_with_their_run(database: Database) -> None:
    failed, ended = Calls(database).list_calls(run_id="ask-2").items

    assert (failed.status, failed.error) == (
        "failed",
        {"type": "Timeout", "message": "the bank did not answer"},
    )
    assert (ended.status, ended.ended_at, ended.ended_version) == ("ended", at(26), None)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "bank bank large small"),
        ({"order": "started"}, "small large bank bank"),
        ({"kind": "model"}, "large small"),
        ({"name": "bank", "status": "failed"}, "bank"),
        ({"status": ["completed", "ended"]}, "bank large small"),
        ({"started_after": at(5), "started_before": at(23)}, "bank large"),
        ({"kind": "nobody's"}, ""),
    ],
)
def test_calls_are_found_by_their_filters(
    database: Database, filters: dict[str, object], found: str
) -> None:
    items = Calls(database).list_calls(**filters).items  # type: ignore[arg-type]
    assert [call.name for call in items] == found.split()


def test_a_call_that_begins_anew_or_ends_without_a_beginning_has_a_row_of_its_own(
    tmp_path: Path,
) -> None:
    events = [
        event("call.started", 1, call_id="c", name="first"),
        event("call.started", 2, call_id="c", name="second"),
        event("call.completed", 3, call_id="d", name="unannounced"),
    ]
    project(tmp_path / "runs.db", record("r", events), batch_events=1)
    with open_database(tmp_path / "runs.db") as database:
        calls = Calls(database).list_calls(run_id="r").items
    assert [(call.name, call.status, call.version, call.ended_version) for call in calls] == [
        ("first", "restarted", 1, 2),
        ("second", "running", 2, None),
        ("unannounced", "completed", 3, 3),
    ]


def test_every_attempt_of_a_node_is_kept(database: Database) -> None:
    first, second = Runs(database).attempts("ask-1")

    assert (first.attempt, first.status, first.version) == (1, "retrying", 3)
    assert (first.started_at, first.ended_at, first.duration_seconds) == (at(2), at(4), 120)
    assert first.error is not None
    assert (second.attempt, second.status, second.error) == (2, "completed", None)
    assert (second.started_at, second.ended_at) == (at(5), at(8))


def test_an_attempt_that_nothing_ended_ends_where_the_next_begins(tmp_path: Path) -> None:
    started = [event("node.started", minutes, node_id="n") for minutes in (1, 2, 4)]
    project(tmp_path / "runs.db", record("r", started), batch_events=2)
    with open_database(tmp_path / "runs.db") as database:
        attempts = Runs(database).attempts("r")
    assert [(one.attempt, one.status, one.duration_seconds) for one in attempts] == [
        (1, "restarted", 60),
        (2, "restarted", 120),
        (3, "running", None),
    ]


def test_a_thread_goes_through_the_runs_of_an_agent(database: Database) -> None:
    agents = Agents(database)
    latest, first = agents.threads().items

    assert (latest.thread_id, latest.messages, latest.runs) == ("t-2", 1, 1)
    assert (first.thread_id, first.messages, first.runs) == ("t-1", 3, 2)
    assert (first.first_at, first.last_at) == (at(1), at(21))
    assert [said.content for said in agents.messages("t-1").items] == [
        "Where is my invoice?",
        {"text": "Here."},
        "And the refund?",
    ]
    assert [(run.run_id, run.messages) for run in agents.runs(thread_id="t-1").items] == [
        ("ask-1", 2),
        ("ask-2", 1),
    ]


def test_agents_are_the_workflows_whose_runs_speak(database: Database) -> None:
    agents = Agents(database)

    assert [thread.thread_id for thread in agents.threads(agent="support").items] == ["t-1"]
    assert [run.run_id for run in agents.runs(agent="support").items] == ["ask-2", "ask-1"]
    assert [run.thread_id for run in agents.runs(run_id="plan-1").items] == ["t-2"]
    said = agents.messages(run_id="ask-1", roles="assistant").items
    assert [(one.agent, one.version) for one in said] == [("support", 11)]
    assert agents.messages("t-1", since=at(2), newest_first=True, limit=1).items[0].at == at(21)


@pytest.mark.parametrize("asked", [{}, {"thread_id": "t", "agent": "a"}])
def test_runs_are_of_one_thread_agent_or_run(database: Database, asked: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="one of"):
        Agents(database).runs(**asked)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="thread_id or run_id"):
        Agents(database).messages()


def test_workflow_versions_are_told_by_their_hash(database: Database) -> None:
    versions = Runs(database).workflow_versions()

    assert [(one.workflow_id, one.definition_hash, one.runs) for one in versions] == [
        ("planner", "v1", 1),
        ("support", "v1", 1),
        ("support", "v2", 1),
    ]
    assert len(Runs(database).workflow_versions("support")) == 2


@pytest.mark.parametrize("batch_events", [1, 2, 7, 100])
def test_rows_do_not_depend_on_batches(path: Path, tmp_path: Path, batch_events: int) -> None:
    project(tmp_path / "other.db", log(), batch_events=batch_events)
    assert dump(tmp_path / "other.db") == dump(path)


def test_a_batch_that_comes_twice_changes_nothing(path: Path) -> None:
    before = dump(path)
    with open_database(path) as database, database.transaction() as tx:
        for projection in (RunProjection(), TimelineProjection(), AgentProjection()):
            for one in log():
                projection.apply(tx, one)
            projection.flush(tx)
    assert dump(path) == before
