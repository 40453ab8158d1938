"""What a question cannot take is refused with a clear error."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from eventstore.errors import InvalidArgument, RunNotFound
from projections import Agents, Calls, Database, Pauses, Runs, Stats, Timeline

SQL = "x' OR 1=1; DROP TABLE runs; --"


@pytest.mark.parametrize("limit", [0, -1, 1_001, 10**9, 2.0, "10", True, None])
def test_a_limit_is_1_to_1000(runs: Runs, timeline: Timeline, pauses: Pauses, limit: Any) -> None:
    for ask in (
        lambda: runs.list_runs(limit=limit),
        lambda: pauses.list_pauses(limit=limit),
        lambda: timeline.timeline(run_id="done", limit=limit),
    ):
        with pytest.raises(InvalidArgument, match="limit"):
            ask()


@pytest.mark.parametrize(
    "asked",
    [
        {"order": "name"},
        {"order": "created_ms"},
        {"order": ["created"]},
        {"status": "sleeping"},
        {"status": []},
        {"status": [1]},
        {"status": 1},
        {"status": [["paused"]]},
        {"status": ["paused", SQL]},
        {"status": [f"s{n}" for n in range(101)]},
        {"workflow_id": 7},
        {"workflow_id": "\ud800"},
        {"parent": b"done"},
        {"labels": {"team": object()}},
        {"labels": {7: "x"}},
        {"labels": dict.fromkeys(map(str, range(101)))},
        {"created_after": datetime(2024, 1, 1)},  # noqa: DTZ001 - that is what is refused
        {"ended_before": "2024-01-01"},
    ],
)
def test_what_a_list_of_runs_cannot_take_is_refused(runs: Runs, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        runs.list_runs(**asked)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"run_id": "done", "workflow_id": "intake"},
        {"run_id": "done", "sources": "nodes"},
        {"run_id": "done", "types": []},
        {"run_id": "done", "since": datetime(2024, 1, 1)},  # noqa: DTZ001 - that is refused
        {"run_id": 7},
    ],
)
def test_what_a_timeline_cannot_take_is_refused(timeline: Timeline, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        timeline.timeline(**asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"status": "paused"},
        {"cause": "typo"},
        {"cause": SQL},
        {"cause": ["manual", "typo"]},
        {"cause": 7},
        {"order": "created"},
        {"expiring_before": datetime(2024, 1, 1)},  # noqa: DTZ001 - that is refused
        {"reason": 7},
    ],
)
def test_what_a_list_of_pauses_cannot_take_is_refused(
    pauses: Pauses, asked: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        pauses.list_pauses(**asked)


@pytest.mark.parametrize("version", [0, -1, 2**63, "3", True])
def test_a_version_is_a_number_from_1(pauses: Pauses, version: Any) -> None:
    with pytest.raises(InvalidArgument, match="version"):
        pauses.checkpoint("waiting", version)


def test_a_checkpoint_is_not_asked_for_at_a_version_beyond_the_run(pauses: Pauses) -> None:
    # given a run of five events, the fourth of which is its latest checkpoint
    latest = pauses.checkpoint("waiting", 5)
    assert latest is not None
    assert latest.version == 4
    # when one is asked for at a version that nobody knows / then no earlier one is given for it
    with pytest.raises(InvalidArgument, match=r"knows 5 versions.* no version 6"):
        pauses.checkpoint("waiting", 6)


def test_what_is_asked_of_an_unknown_run_says_so(
    runs: Runs, timeline: Timeline, pauses: Pauses
) -> None:
    for ask in (runs.get_run, runs.nodes, timeline.spans, pauses.checkpoint):
        with pytest.raises(RunNotFound):
            ask("nobody")
    with pytest.raises(RunNotFound):
        timeline.timeline(run_id="nobody")


def test_sql_in_a_text_is_only_a_text(runs: Runs, timeline: Timeline, pauses: Pauses) -> None:
    for found in (
        runs.list_runs(workflow_id=SQL),
        runs.list_runs(parent=SQL),
        runs.list_runs(labels={SQL: SQL}),
        pauses.list_pauses(reason=SQL),
        pauses.list_pauses(run_id=SQL),
        timeline.timeline(workflow_id=SQL),
        timeline.timeline(run_id="done", types=SQL),
    ):
        assert found.items == []
    for ask in (runs.get_run, runs.nodes, timeline.spans, pauses.checkpoint):
        with pytest.raises(RunNotFound):
            ask(SQL)
    assert runs.totals().runs == 5


def test_an_unknown_filter_is_named_with_those_there_are(database: Database) -> None:
    runs, timeline = Runs(database), Timeline(database)
    unknown: dict[str, Any] = {"colour": "red"}
    for ask in (
        runs.list_runs,
        runs.deleted_runs,
        Pauses(database).list_pauses,
        Calls(database).list_calls,
        Agents(database).threads,
        Agents(database).messages,
        Agents(database).runs,
        Stats(database).activity,
        Stats(database).waits,
        lambda **more: timeline.timeline("done", **more),
        lambda **more: timeline.search("x", **more),
        lambda **more: runs.distinct("label", **more),
    ):
        with pytest.raises(InvalidArgument, match="no filter 'colour'; it takes"):
            ask(**unknown)


def test_sql_in_every_text_of_the_other_queries_is_only_a_text(database: Database) -> None:
    runs, agents, stats = Runs(database), Agents(database), Stats(database)
    assert Timeline(database).search(SQL).items == []
    assert Timeline(database).search("x", run_id=SQL, workflow_id=SQL, types=SQL).items == []
    assert runs.list_runs(text=SQL).items == []
    assert Calls(database).list_calls(run_id=SQL, kind=SQL, name=SQL).items == []
    assert agents.threads(agent=SQL).items == []
    assert agents.messages(SQL, run_id=SQL, roles=SQL).items == []
    assert agents.runs(thread_id=SQL).items == agents.runs(agent=SQL).items == []
    assert runs.distinct("label_value", label=SQL).items == []
    assert runs.distinct("node_id", workflow_id=SQL).items == []
    assert runs.deleted_runs(run_id=SQL).items == runs.workflow_versions(SQL) == []
    assert stats.activity(workflow_id=SQL) == stats.run_durations(workflow_id=SQL) == []
    assert stats.node_durations(workflow_id=SQL, node_id=SQL) == stats.waits(workflow_id=SQL) == []
    found = Pauses(database).list_pauses(workflow_id=SQL, reason=SQL, actor=SQL)
    assert found.items == Pauses(database).checkpoints(SQL).items == []
    for ask in (lambda: stats.activity(SQL), lambda: runs.distinct(SQL)):
        with pytest.raises(InvalidArgument):
            ask()
    assert runs.totals().runs == 5


@pytest.mark.parametrize("limit", [0, 10**9])
def test_the_limits_of_all_other_pages_are_checked(database: Database, limit: int) -> None:
    for ask in (
        lambda: Timeline(database).search("x", limit=limit),
        lambda: Calls(database).list_calls(limit=limit),
        lambda: Agents(database).threads(limit=limit),
        lambda: Agents(database).messages("t", limit=limit),
        lambda: Agents(database).runs(agent="a", limit=limit),
        lambda: Runs(database).distinct("label", limit=limit),
        lambda: Runs(database).deleted_runs(limit=limit),
        lambda: Pauses(database).checkpoints("waiting", limit=limit),
    ):
        with pytest.raises(InvalidArgument, match="limit"):
            ask()


def test_times_without_a_zone_are_refused_by_all(database: Database) -> None:
    naive = datetime(2024, 1, 1)  # noqa: DTZ001 - that is what is refused
    for ask in (
        lambda: Timeline(database).search("x", since=naive),
        lambda: Calls(database).list_calls(started_after=naive),
        lambda: Agents(database).threads(until=naive),
        lambda: Agents(database).messages("t", since=naive),
        lambda: Stats(database).waits(since=naive),
        lambda: Pauses(database).list_pauses(paused_before=naive),
    ):
        with pytest.raises(InvalidArgument, match="zone"):
            ask()
