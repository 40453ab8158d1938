"""What happened, in order, and as intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from histories import project, record

from eventstore.events import PAYLOADS
from projections import Span, Timeline, open_database
from projections.queries.timeline import SOURCES
from projections.timelines import SOURCES as SOURCE_OF_TYPE
from queries.small_runs import at, event


def test_a_runs_timeline_is_in_the_order_of_versions(timeline: Timeline) -> None:
    entries = timeline.timeline(run_id="done").items
    assert [entry.version for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.source for entry in entries] == ["run", "node", "node", "pause", "pause", "run"]
    resume = entries[4]
    assert (resume.type, resume.actor, resume.occurred_at) == ("run.resumed", "ann", at(5))
    assert resume.data == {"pause_id": "p", "cause": "manual", "actor": "ann"}


def test_a_workflows_timeline_is_in_the_order_of_time(timeline: Timeline) -> None:
    entries = timeline.timeline(workflow_id="intake").items
    times = [entry.occurred_at for entry in entries]
    assert len(entries) == 16
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("filters", "versions"),
    [
        ({"types": "node.started"}, [2]),
        ({"types": ["node.started", "run.created"]}, [1, 2]),
        ({"sources": "pause"}, [4, 5]),
        ({"sources": ["pause", "node"], "types": ["run.paused", "node.started"]}, [2, 4]),
        ({"since": at(3)}, [4, 5, 6]),
        ({"until": at(3)}, [1, 2, 3]),
        ({"since": at(1), "until": at(3), "newest_first": True}, [3, 2]),
        ({"newest_first": True, "limit": 2}, [6, 5]),
        ({"types": "never.seen"}, []),
    ],
)
def test_a_timeline_is_filtered(
    timeline: Timeline, filters: dict[str, Any], versions: list[int]
) -> None:
    entries = timeline.timeline(run_id="done", **filters).items
    assert [entry.version for entry in entries] == versions


def test_every_built_in_type_has_a_source_and_others_are_custom(timeline: Timeline) -> None:
    assert set(SOURCE_OF_TYPE) == set(PAYLOADS)
    assert {*SOURCE_OF_TYPE.values(), "custom"} == set(SOURCES)
    (entry,) = timeline.timeline(run_id="other", sources="custom").items
    assert entry.type == "invoice.sent"


def test_spans_show_nodes_calls_and_pauses_as_intervals(timeline: Timeline) -> None:
    assert timeline.spans("done") == [
        Span("node", "n", "Fetch", at(1), at(2), "completed"),
        Span("pause", "p", "ask", at(3), at(5), "resumed"),
    ]
    assert timeline.spans("waiting") == [
        Span("pause", "p", "ask", at(3), None, "open"),
        Span("pause", "q", "ask", at(4), None, "expired"),
    ]
    assert timeline.spans("broken") == [
        Span("call", "c", "look", at(3), at(5), "ended"),
        Span("pause", "p", "ask", at(4), at(5), "ended"),
    ]


def test_a_node_that_starts_again_has_a_span_for_each_start(tmp_path: Path) -> None:
    error = {"type": "E", "message": "m"}
    events = [
        event("node.started", 1, node_id="n"),
        event("node.started", 2, node_id="n"),
        event("node.failed", 3, node_id="n", error=error),
        event("node.started", 4, node_id="n", activation_id="a"),
        event("node.started", 5, node_id="n", activation_id="b"),
        event("node.completed", 6, node_id="n", activation_id="a"),
        event("node.skipped", 7, node_id="m"),
    ]
    project(tmp_path / "runs.db", record("r", events))
    with open_database(tmp_path / "runs.db") as database:
        spans = Timeline(database).spans("r")
    assert [(span.id, span.start, span.end, span.status) for span in spans] == [
        ("n", at(1), at(2), "restarted"),
        ("n", at(2), at(3), "failed"),
        ("n", at(4), at(6), "completed"),
        ("n", at(5), None, "running"),
        ("m", at(7), at(7), "skipped"),
    ]
