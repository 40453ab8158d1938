"""What many runs add up to, and which different values they have."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from histories import project, record

from eventstore.errors import InvalidArgument
from eventstore.events import NewEvent
from projections import Database, Runs, Stats, open_database
from projections.queries.stats import spread
from projections.queries.values import FIELDS
from read_side.agent_runs import at, event


def test_activity_is_counted_in_buckets_without_a_hole(database: Database) -> None:
    found = Stats(database).activity("minute")

    # a run starts with its first node or call
    assert [one.start for one in found] == [at(minute) for minute in range(2, 34)]
    busy = {one.start: (one.started, one.ended, one.failed) for one in found if one.started}
    assert busy == {at(2): (1, 0, 0), at(22): (1, 0, 0), at(33): (1, 0, 0)}
    over = {one.start: (one.completed, one.failed) for one in found if one.ended}
    assert over == {at(10): (1, 0), at(26): (0, 1)}


def test_activity_is_of_a_workflow_and_a_range(database: Database) -> None:
    stats = Stats(database)

    assert [one.started for one in stats.activity("hour", workflow_id="planner")] == [1]
    assert [one.ended for one in stats.activity("hour", since=at(11), until=at(30))] == [1]
    assert stats.activity("hour", workflow_id="nobody's") == []


@pytest.mark.parametrize(
    ("bucket", "start"),
    [
        ("minute", datetime(1969, 12, 31, 23, 58, tzinfo=UTC)),
        ("day", datetime(1969, 12, 31, tzinfo=UTC)),
        ("week", datetime(1969, 12, 29, tzinfo=UTC)),
    ],
)
def test_buckets_begin_at_full_ones_also_before_1970(
    tmp_path: Path, bucket: str, start: datetime
) -> None:
    before = NewEvent("run.started", occurred_at=datetime(1969, 12, 31, 23, 58, 30, tzinfo=UTC))
    project(tmp_path / "runs.db", record("r", [before]))
    with open_database(tmp_path / "runs.db") as database:
        (found,) = Stats(database).activity(bucket)
    assert found.start == start


def test_too_many_buckets_are_refused(tmp_path: Path) -> None:
    events = [NewEvent("run.started", occurred_at=at(0))]
    late = [NewEvent("run.started", occurred_at=at(0) + timedelta(days=8))]
    both = record("a", events) + record("b", late, first_n=2)
    project(tmp_path / "both.db", both)
    with open_database(tmp_path / "both.db") as database:
        assert len(Stats(database).activity("hour")) == 8 * 24 + 1
        with pytest.raises(InvalidArgument, match="11,521 buckets"):
            Stats(database).activity("minute")


def test_durations_of_runs_and_nodes_are_spread(database: Database) -> None:
    (runs,) = Stats(database).run_durations()
    assert (runs.workflow_id, runs.seconds.count) == ("support", 2)
    assert (runs.seconds.mean, runs.seconds.p50, runs.seconds.longest) == (480, 480, 600)
    assert Stats(database).run_durations(status="failed")[0].seconds.mean == 360
    nodes = {
        (one.workflow_id, one.node_id): one.seconds for one in Stats(database).node_durations()
    }
    assert {key: (one.count, one.mean) for key, one in nodes.items()} == {
        ("planner", "think"): (1, 120),
        ("support", "look"): (1, 180),
    }


def test_every_completed_attempt_of_a_node_counts(tmp_path: Path) -> None:
    events = []
    for turn in range(3):
        events.append(event("node.started", 10 * turn, node_id="n"))
        events.append(event("node.completed", 10 * turn + turn + 1, node_id="n"))
    project(tmp_path / "runs.db", record("r", events), batch_events=2)
    with open_database(tmp_path / "runs.db") as database:
        (node,) = Stats(database).node_durations(node_id="n")
        later = Stats(database).node_durations(since=at(10), until=at(20))
    assert (node.seconds.count, node.seconds.mean, node.seconds.longest) == (3, 120, 180)
    assert [one.seconds.count for one in later] == [1]


def test_percentiles_are_those_of_the_standard_library() -> None:
    chance = random.Random(1)
    for count in (2, 3, 10, 99, 1_000):
        values = [chance.randrange(10**9) for _ in range(count)]
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        found = spread(values)
        assert found.mean == pytest.approx(statistics.fmean(values) / 1_000)
        assert (found.p50, found.p95, found.p99) == pytest.approx(
            tuple(cuts[percent - 1] / 1_000 for percent in (50, 95, 99))
        )
    assert spread([7_000]).p95 == 7


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"field": "workflow_id"}, ["planner", "support"]),
        ({"field": "definition_hash"}, ["v1", "v2"]),
        ({"field": "definition_hash", "workflow_id": "planner"}, ["v1"]),
        ({"field": "label"}, ["rank", "team"]),
        ({"field": "label_value", "label": "team"}, ["x", "y"]),
        ({"field": "label_value", "label": "rank"}, [1]),
        ({"field": "node_id"}, ["look", "think"]),
        ({"field": "node_id", "workflow_id": "support"}, ["look"]),
        ({"field": "agent"}, ["planner", "support"]),
    ],
)
def test_different_values_are_listed(
    database: Database, asked: dict[str, Any], found: list[Any]
) -> None:
    runs = Runs(database)
    assert runs.distinct(**asked).items == found
    one_by_one, cursor = [], None
    while True:
        page = runs.distinct(**asked, limit=1, cursor=cursor)
        one_by_one += page.items
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert one_by_one == found
    if len(found) == 2:
        assert runs.distinct(**asked, limit=1, cursor=page.previous_cursor).items == found[:1]


@pytest.mark.parametrize(
    "asked",
    [
        {"field": "run_id"},
        {"field": ["label"]},
        {"field": "label_value"},
        {"field": "label", "label": "team"},
        {"field": "agent", "workflow_id": "support"},
        {"field": "node_id", "workflow_id": 7},
        {"field": "label", "limit": 0},
    ],
)
def test_what_has_no_different_values_is_refused(database: Database, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Runs(database).distinct(**asked)


@pytest.mark.parametrize(
    "asked",
    [{"bucket": "month"}, {"workflow_id": 7}, {"since": datetime(2024, 1, 1)}],  # noqa: DTZ001
)
def test_what_statistics_cannot_take_is_refused(database: Database, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Stats(database).activity(**asked)


def test_an_empty_database_adds_up_to_nothing(tmp_path: Path) -> None:
    with open_database(tmp_path / "runs.db") as database:
        stats = Stats(database)
        assert stats.activity() == stats.run_durations() == stats.node_durations() == []
        assert stats.waits() == Runs(database).workflow_versions() == []
        assert all(
            Runs(database).distinct(field).items == [] for field in FIELDS if field != "label_value"
        )
