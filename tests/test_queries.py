"""Questions to the read side: filters, pages, cursors, spans, bad input, query plans."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from histories import EPOCH, interleaved, project, record

from eventstore.errors import InvalidArgument, RunNotFound
from eventstore.events import PAYLOADS, NewEvent, RecordedEvent
from projections import (
    Database,
    Page,
    Pauses,
    Runs,
    Span,
    Timeline,
    Transaction,
    open_database,
    spans_of,
)
from projections.queries.pauses import ORDERS as PAUSE_ORDERS
from projections.queries.pauses import STATUSES as PAUSE_STATUSES
from projections.queries.runs import ORDERS, STATUSES
from projections.queries.timeline import SOURCES
from projections.timelines import SOURCES as SOURCE_OF_TYPE

HOUR_MS = 3_600_000


def at(hours: float) -> datetime:
    return EPOCH + timedelta(hours=hours)


def event(kind: str, hours: float, **data: Any) -> NewEvent:
    return NewEvent(kind, data, workflow_id="intake", occurred_at=at(hours))


def paused(hours: float, pause_id: str = "p", window_ms: int | None = HOUR_MS) -> NewEvent:
    details = {"state": {"at": hours}, "resume_at": "ask", "on_expiry": "park"}
    return event(
        "run.paused", hours, pause_id=pause_id, reason="ask", window_ms=window_ms, **details
    )


def resumed(hours: float, pause_id: str = "p", **more: Any) -> NewEvent:
    return event("run.resumed", hours, pause_id=pause_id, cause="manual", **more)


RUNS = {
    # A run that ended, one that waits, one that failed, one of another workflow, one just made.
    "done": [
        event("run.created", 0, input=1, labels={"team": "x", "rank": 1}),
        event("node.started", 1, node_id="n", label="Fetch"),
        event("node.completed", 2, node_id="n", output={"rows": 3}),
        paused(3),
        resumed(5, actor="ann"),
        event("run.completed", 6, output=2),
    ],
    "waiting": [
        event("run.created", 1, labels={"team": "x", "rank": "1"}, parent="done"),
        event("run.started", 2),
        paused(3, window_ms=None),
        paused(4, "q"),
        event("run.window_expired", 5, pause_id="q"),
    ],
    "broken": [
        event("run.created", 2, labels={"team": "y"}),
        event("call.started", 3, call_id="c", kind="tool", name="look"),
        paused(4),
        event("run.failed", 5, error={"type": "E", "message": "m"}),
    ],
    "other": [
        NewEvent("run.created", {}, workflow_id="billing", occurred_at=at(3)),
        NewEvent("invoice.sent", {}, workflow_id="billing", occurred_at=at(9)),
    ],
    "new": [event("run.created", 4)],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "runs.db"
    project(path, interleaved({name: record(name, events) for name, events in RUNS.items()}, []))
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with open_database(path, read_only=True) as opened:
        yield opened


@pytest.fixture
def runs(database: Database) -> Runs:
    return Runs(database)


@pytest.fixture
def timeline(database: Database) -> Timeline:
    return Timeline(database)


@pytest.fixture
def pauses(database: Database) -> Pauses:
    return Pauses(database)


# Runs.


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["new", "other", "broken", "waiting", "done"]),
        ({"workflow_id": "billing"}, ["other"]),
        ({"workflow_id": "nobody's"}, []),
        ({"status": "paused"}, ["waiting"]),
        ({"status": ["completed", "failed"]}, ["broken", "done"]),
        ({"labels": {"team": "x"}}, ["waiting", "done"]),
        ({"labels": {"team": "x", "rank": 1}}, ["done"]),
        ({"labels": {"rank": "1"}}, ["waiting"]),
        ({"parent": "done"}, ["waiting"]),
        ({"created_after": at(2)}, ["new", "other", "broken"]),
        ({"created_before": at(2)}, ["waiting", "done"]),
        ({"updated_after": at(6)}, ["other", "done"]),
        ({"updated_before": at(6)}, ["new", "broken", "waiting"]),
        ({"ended_after": at(5), "ended_before": at(6)}, ["broken"]),
        ({"order": "created"}, ["done", "waiting", "broken", "other", "new"]),
        ({"order": "updated"}, ["new", "waiting", "broken", "done", "other"][:0] or None),
        ({"order": "-ended"}, ["done", "broken"]),
        ({"order": "-events"}, ["done", "waiting", "broken", "other", "new"]),
        ({"workflow_id": "intake", "status": "failed", "created_after": at(1)}, ["broken"]),
    ],
)
def test_runs_are_found_by_their_filters_in_order(
    runs: Runs, filters: dict[str, Any], found: list[str] | None
) -> None:
    assert [run.run_id for run in runs.list_runs(**filters).items] == found
