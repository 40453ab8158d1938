"""The figures of the incidents come out of the queries, as they stand in the file."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from histories import project
from incidents import (
    REAL,
    Figures,
    Line,
    counted,
    incidents_file,
    made_up_lines,
    read_lines,
    recorded,
)

from projections import Database, Pauses, Runs, Stats, Timeline, open_database
from projections.queries.pauses import WAITING


@pytest.fixture(scope="module")
def figures_and_path(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figures, Path]:
    """Project the incidents; where the real file is missing, ones made up in its image."""
    path = tmp_path_factory.mktemp("incidents") / "runs.db"
    file = incidents_file()
    lines = list(read_lines(file)) if file else made_up_lines()
    project(path, recorded(lines))
    figures = counted(lines)
    if file:
        assert figures == REAL, "the counting in this test is wrong, or the file is another"
    return figures, path


def waits_counted(lines: Iterable[Line]) -> dict[str, tuple[int, float, float]]:
    """Count by reason: pauses resumed, their mean and 95th percentile in seconds."""
    began: dict[str, tuple[str, datetime]] = {}
    waited: dict[str, list[float]] = {}
    for line in lines:
        at = datetime.fromisoformat(line["occurred_at"])
        if line["type"] == "run.paused":
            began[line["run_id"]] = (line["data"]["reason"], at)
        elif line["type"] == "run.resumed":
            reason, since = began.pop(line["run_id"])
            waited.setdefault(reason, []).append((at - since).total_seconds())
    return {
        reason: (
            len(seconds),
            statistics.fmean(seconds),
            statistics.quantiles(seconds, n=100, method="inclusive")[94],
        )
        for reason, seconds in waited.items()
    }


def test_mean_and_95th_percentile_of_pauses_by_reason(database: Database) -> None:
    file = incidents_file()
    counted_waits = waits_counted(read_lines(file) if file else made_up_lines())
    found = {
        one.reason: (one.seconds.count, one.seconds.mean, one.seconds.p95)
        for one in Stats(database).waits()
    }
    assert set(found) == set(counted_waits)
    for reason, (count, mean, p95) in counted_waits.items():
        assert found[reason] == (count, pytest.approx(mean), pytest.approx(p95))


@pytest.fixture
def figures(figures_and_path: tuple[Figures, Path]) -> Figures:
    return figures_and_path[0]


@pytest.fixture
def database(figures_and_path: tuple[Figures, Path]) -> Iterator[Database]:
    with open_database(figures_and_path[1], read_only=True) as opened:
        yield opened


def test_events_are_counted_by_type(figures: Figures, database: Database) -> None:
    assert Timeline(database).counts_by_type() == figures.events_by_type
    assert Runs(database).totals().events == figures.events_by_type.total()


def test_runs_are_counted_by_status(figures: Figures, database: Database) -> None:
    assert Runs(database).counts_by_status() == figures.runs_by_status


def test_pauses_are_counted_by_reason(figures: Figures, database: Database) -> None:
    assert Pauses(database).counts_by_reason() == figures.pauses_by_reason


def test_resumes_after_the_window_are_counted(figures: Figures, database: Database) -> None:
    assert Pauses(database).late_resumes() == figures.late_resumes > 0


def test_seconds_spent_paused_are_summed(figures: Figures, database: Database) -> None:
    assert Pauses(database).paused_seconds() == figures.paused_seconds > 0


def test_the_longest_run_is_found(figures: Figures, database: Database) -> None:
    longest = Runs(database).longest_run()
    assert longest is not None
    assert (longest.run_id, longest.version) == figures.longest_run


def test_the_runs_still_paused_are_listed(figures: Figures, database: Database) -> None:
    runs = Runs(database).list_runs(status="paused", limit=1_000).items
    pauses = Pauses(database).list_pauses(status=WAITING, limit=1_000).items
    assert {run.run_id for run in runs} == figures.still_paused
    assert {pause.run_id for pause in pauses} == figures.still_paused


def test_their_windows_ended_long_ago(figures: Figures, database: Database) -> None:
    now = datetime.now(UTC)
    expiring = Pauses(database).list_pauses(status="open", expiring_before=now, order="expires")
    assert {pause.run_id for pause in expiring.items} == figures.still_paused
    for pause in expiring.items:
        assert pause.expires_at == pause.paused_at + timedelta(hours=24)
        checkpoint = Pauses(database).checkpoint(pause.run_id)
        assert checkpoint is not None
        assert (checkpoint.version, checkpoint.pause_id) == (pause.version, pause.pause_id)
