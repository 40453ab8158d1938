"""The incidents through the command line: their figures, however often and whatever is killed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import PATIENCE_S, CommandLine
from faults import eventually
from incidents import REAL, Figures, counted, incidents_file, made_up_lines, read_lines

from eventstore import SyncEventStore

pytestmark = pytest.mark.timeout(600)

MADE_UP_RUNS = 4_000
KILLS = 3
SEED = 20120522


@dataclass
class Incidents:
    """A file of incidents, and what its lines say."""

    path: Path
    lines: list[dict[str, Any]]
    figures: Figures

    def last_pause_of(self, run_id: str) -> dict[str, Any]:
        """The data of a run's last pause."""
        return [
            line["data"]
            for line in self.lines
            if line["run_id"] == run_id and line["type"] == "run.paused"
        ][-1]


@pytest.fixture(scope="module")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> Incidents:
    """The real ones; where they are missing, ones made up in their image."""
    path = incidents_file()
    if path is None:
        lines = made_up_lines(MADE_UP_RUNS)
        path = CommandLine(tmp_path_factory.mktemp("made-up")).write("incidents.jsonl", lines)
        return Incidents(path, lines, counted(lines))
    lines = list(read_lines(path))
    figures = counted(lines)
    assert figures == REAL, "the counting in this test is wrong, or the file is another"
    return Incidents(path, lines, figures)


@pytest.fixture(scope="module")
def imported(incidents: Incidents, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A folder with the incidents, imported and projected; only to be read, or copied."""
    cli = CommandLine(tmp_path_factory.mktemp("incidents"))
    report = cli.json("import", incidents.path)
    assert (report["written"], report["already_there"], report["bad"]) == (
        len(incidents.lines), 0, 0,
    )  # fmt: skip
    assert cli.json("project", "run", "--to-end")["events"] == len(incidents.lines)
    return cli


@pytest.fixture
def copied(imported: CommandLine, tmp_path: Path) -> Iterator[CommandLine]:
    """A copy of that folder, to work on."""
    cli = CommandLine(tmp_path / "f")
    shutil.copytree(imported.store_folder, cli.store_folder)
    yield cli
    cli.close()


def require_figures(cli: CommandLine, incidents: Incidents) -> None:
    """Compare every figure that the command line gives with those that were counted."""
    figures = incidents.figures
    stats = cli.json("stats")
    waiting = cli.items("pauses")
    assert stats["events_by_type"] == figures.events_by_type
    assert stats["runs_by_status"] == figures.runs_by_status
    assert stats["pauses_by_reason"] == figures.pauses_by_reason
    assert stats["events"] == len(incidents.lines)
    assert stats["late_resumes"] == figures.late_resumes
    assert stats["paused_seconds"] == figures.paused_seconds
    assert stats["longest_run"]["events"] == figures.longest_run[1]
    assert {pause["run_id"] for pause in waiting} == figures.still_paused
    assert all(pause["overdue"] for pause in waiting)


def test_every_figure_comes_out_of_the_command_line(
    imported: CommandLine, incidents: Incidents
) -> None:
    require_figures(imported, incidents)


def test_the_figures_stand_there_as_people_write_them(
    imported: CommandLine, incidents: Incidents
) -> None:
    figures = incidents.figures
    words = imported.text("stats").split()

    for counts in (figures.events_by_type, figures.runs_by_status, figures.pauses_by_reason):
        for name, number in counts.items():
            assert f"{number:,}" == words[words.index(name) + 1]
    assert f"{figures.late_resumes:,}" in words
    assert f"{round(figures.paused_seconds):,}" in words
    assert str(figures.longest_run[1]) in words
    listed = imported.text("pauses", "--limit", 1_000)
    assert all(run_id in listed for run_id in figures.still_paused)


def test_a_second_import_changes_nothing(copied: CommandLine, incidents: Incidents) -> None:
    report = copied.json("import", incidents.path)

    assert (report["written"], report["already_there"]) == (0, len(incidents.lines))
    assert copied.json("project", "run", "--to-end")["events"] == 0
    require_figures(copied, incidents)


def test_an_import_killed_at_any_moment_goes_on(cli: CommandLine, incidents: Incidents) -> None:
    chance = random.Random(SEED)
    total = len(incidents.lines)
    with SyncEventStore.open(folder=cli.store_folder) as store:
        for moment in sorted(chance.sample(range(1, total * 3 // 4), KILLS)):
            killed = _killed_when(
                lambda moment=moment: _stored(store) >= moment, cli, "import", incidents.path
            )
            assert killed
            assert moment <= _stored(store) < total
    last = cli.json("import", incidents.path)
    cli.json("project", "run", "--to-end")

    assert last["written"] > 0
    assert last["written"] + last["already_there"] == total
    require_figures(cli, incidents)


def _stored(store: SyncEventStore) -> int:
    return sum(tail.n for tail in store.tails().values())


def _killed_when(condition: Callable[[], bool], cli: CommandLine, *arguments: object) -> bool:
    """Start a command and kill it when a condition holds; say whether it was still running."""
    with cli.start(*arguments) as process:
        eventually(condition, within_s=PATIENCE_S)
        process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL


def test_a_projector_killed_at_any_moment_goes_on(
    copied: CommandLine, incidents: Incidents
) -> None:
    chance = random.Random(SEED)
    total = len(incidents.lines)
    for file in copied.store_folder.glob("runs.db*"):
        file.unlink()
    with SyncEventStore.open(folder=copied.store_folder):
        for moment in sorted(chance.sample(range(1, total * 3 // 4), KILLS)):
            killed = _killed_when(
                lambda moment=moment: copied.projected() >= moment,
                copied, "project", "run", "--to-end",
            )  # fmt: skip
            assert killed
            assert moment <= copied.projected() < total
    last = copied.json("project", "run", "--to-end")

    assert last["events"] > 0
    require_figures(copied, incidents)


def test_a_server_left_alone_by_a_killed_import_is_used_again(
    cli: CommandLine, incidents: Incidents
) -> None:
    with cli.start("import", "-", stdin=subprocess.PIPE) as process:
        eventually((cli.store_folder / "server").exists, within_s=PATIENCE_S)
        process.kill()
        process.communicate()

    assert cli.json("import", incidents.path)["written"] == len(incidents.lines)


def test_an_export_gives_the_same_histories_elsewhere(
    copied: CommandLine, incidents: Incidents
) -> None:
    copied.text("export", "all.jsonl.gz")

    there = copied.json("import", "all.jsonl.gz")
    elsewhere = copied.json("import", "all.jsonl.gz", "--namespace", "copy")
    copied.json("project", "run", "--to-end", "--namespace", "copy")

    assert (there["written"], elsewhere["written"]) == (0, len(incidents.lines))
    run_id = incidents.figures.longest_run[0]
    assert copied.text("export", "--run", run_id) == copied.text(
        "export", "--run", run_id, "--namespace", "copy"
    )
    copied.database = copied.store_folder / "copy.db"
    stats = copied.json("stats", "--namespace", "copy")
    assert stats["events_by_type"] == incidents.figures.events_by_type
    assert stats["paused_seconds"] == incidents.figures.paused_seconds


def test_the_windows_that_ended_long_ago_take_effect_once_and_resume_gives_the_state(
    copied: CommandLine, incidents: Incidents
) -> None:
    still_paused = sorted(incidents.figures.still_paused)

    at_once = [copied.start("restore", "--json") for _ in range(4)]
    told = [process.communicate(timeout=PATIENCE_S) for process in at_once]

    assert [process.returncode for process in at_once] == [0] * 4, told
    counts = [json.loads(out)["counts"] for out, _ in told]
    assert sum(each["parked"] for each in counts) == len(still_paused)
    assert sum(each["restored"] + each["conflicts"] + each["errors"] for each in counts) == 0
    expired = [
        event["run_id"] for event in copied.lines("export") if event["type"] == "run.window_expired"
    ]
    assert sorted(expired) == still_paused
    assert copied.json("restore")["counts"]["due"] == 0
    for run_id in still_paused[:5]:
        context = copied.json("resume", run_id)
        pause = incidents.last_pause_of(run_id)
        assert context["state"] == pause["state"]
        assert context["resume_at"] == pause["resume_at"]
        assert context["restored"] is True
    copied.json("project", "run", "--to-end")
    left = {pause["run_id"] for pause in copied.items("pauses")}
    assert left == set(still_paused[5:])
