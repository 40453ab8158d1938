"""Which runs waited, for how long, and what they go on from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from archive.filing import tamper
from histories import ListLog, project, record

from eventstore.errors import StoreMismatch
from eventstore.events import NewEvent
from projections import Pauses, Projector, open_database
from queries.small_runs import HOUR_MS, at, paused, resumed


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "waiting/q broken/p waiting/p done/p"),
        ({"status": "open"}, "waiting/p"),
        ({"status": "expired"}, "waiting/q"),
        ({"status": ["resumed", "ended"]}, "broken/p done/p"),
        ({"reason": "ask", "order": "paused"}, "done/p waiting/p broken/p waiting/q"),
        ({"reason": "never"}, ""),
        ({"cause": "manual"}, "done/p"),
        ({"cause": ["manual", "run_ended"]}, "broken/p done/p"),
        ({"cause": "signal"}, ""),
        ({"expiring_before": at(4.5)}, "done/p"),
        ({"order": "expires"}, "done/p broken/p waiting/q"),
        ({"run_id": "waiting"}, "waiting/q waiting/p"),
    ],
)
def test_pauses_are_found_by_their_filters_and_in_order(
    pauses: Pauses, filters: dict[str, Any], found: str
) -> None:
    items = pauses.list_pauses(**filters).items
    assert [f"{pause.run_id}/{pause.pause_id}" for pause in items] == found.split()


def test_a_pause_tells_how_it_went(pauses: Pauses) -> None:
    (pause,) = pauses.list_pauses(run_id="done").items
    assert (pause.paused_at, pause.expires_at, pause.resumed_at) == (at(3), at(4), at(5))
    assert (pause.window_seconds, pause.waited_seconds, pause.late) == (3_600, 7_200, True)
    assert (pause.status, pause.cause, pause.actor) == ("resumed", "manual", "ann")
    (ended,) = pauses.list_pauses(run_id="broken").items
    assert (ended.ended_at, ended.resumed_at, ended.cause) == (at(5), None, "run_ended")


def test_a_pause_under_an_id_that_is_open_replaces_it(tmp_path: Path) -> None:
    project(tmp_path / "runs.db", record("r", [paused(1), paused(2), resumed(3), paused(4)]))
    with open_database(tmp_path / "runs.db") as database:
        items = Pauses(database).list_pauses(order="paused").items
    assert [(pause.version, pause.status, pause.cause) for pause in items] == [
        (1, "ended", "replaced"),
        (2, "resumed", "manual"),
        (4, "open", None),
    ]


def test_pauses_are_counted_and_summed(pauses: Pauses) -> None:
    assert pauses.counts_by_reason() == {"ask": 4}
    assert pauses.counts_by_status() == {"ended": 1, "expired": 1, "open": 1, "resumed": 1}
    assert pauses.paused_seconds() == 7_200
    assert pauses.late_resumes() == 1


def test_a_checkpoint_is_the_latest_or_the_latest_up_to_a_version(pauses: Pauses) -> None:
    latest = pauses.checkpoint("waiting")
    assert latest is not None
    assert (latest.version, latest.pause_id, latest.state) == (4, "q", {"at": 4})
    assert (latest.resume_at, latest.saved_at) == ("ask", at(4))
    earlier = pauses.checkpoint("waiting", 3)
    assert earlier is not None
    assert (earlier.version, earlier.pause_id) == (3, "p")
    assert pauses.checkpoint("waiting", 2) is None


def test_a_checkpoint_that_the_run_does_not_reach_is_told(tmp_path: Path) -> None:
    # given rows that lost the end of a run, but not its checkpoint
    path = tmp_path / "runs.db"
    events = record("r", [paused(1), resumed(2), paused(3)])
    project(path, events)
    assert tamper(path, "UPDATE runs SET version = 2") == 1
    with open_database(path) as database, Projector(ListLog(events), database) as projector:
        # when it is asked for / then it is told, and no earlier one given for it
        with pytest.raises(StoreMismatch, match=r"checkpoint at version 3 .* version 2"):
            Pauses(database).checkpoint("r")
        # and made anew, as the message says, the rows are as the log is
        projector.rebuild_run("r")
        found = Pauses(database).checkpoint("r")
    assert found is not None
    assert found.version == 3


def test_a_time_that_no_calendar_shows_does_not_break_a_list(tmp_path: Path) -> None:
    last = datetime(9999, 12, 31, tzinfo=UTC)
    century_ms = 100 * 366 * 24 * HOUR_MS
    pause = paused(0, window_ms=century_ms).data
    event = NewEvent("run.paused", pause, occurred_at=last)
    project(tmp_path / "runs.db", record("r", [event]))
    with open_database(tmp_path / "runs.db") as database:
        (found,) = Pauses(database).list_pauses().items
    assert found.paused_at == last
    assert found.expires_at is not None
    assert found.expires_at.year == 9999
