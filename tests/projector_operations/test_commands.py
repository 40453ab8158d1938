"""``runstore project``, as a person runs it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine

from eventstore import NewEvent, SyncEventStore
from projector_operations.samples import change, one_run, rows
from projector_operations.test_damage import damage

RUNS = 40


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """Give the command line in a folder where runs are projected."""
    line = CommandLine(tmp_path / "f")
    with SyncEventStore.open(folder=line.store_folder) as store:
        for number in range(RUNS):
            store.append(f"run-{number}", one_run(number))
        line.text("project", "run", "--to-end")
        yield line
    line.close()


def states(cli: CommandLine) -> dict[str, str]:
    return {one["name"]: one["state"] for one in cli.json("project", "status")["items"]}


def test_a_projection_is_paused_and_resumed(cli: CommandLine) -> None:
    assert cli.text("project", "pause", "runs", "--cause", "audit") == "runs is paused\n"
    assert states(cli)["runs"] == "paused"
    assert "audit" in cli.text("project", "status")
    assert cli.json("project", "resume", "runs") == {"projection": "runs", "state": "running"}
    assert set(states(cli).values()) == {"running"}
    unknown = cli.run("project", "pause", "nobody")
    assert (unknown.returncode, "it has: agents" in unknown.stderr) == (2, True)


def test_a_failed_projection_is_shown_with_its_event_and_exit_code_1(cli: CommandLine) -> None:
    # given rows that let no event of a run be taken
    change(cli.database, "DROP TABLE event_types")
    with SyncEventStore.open(folder=cli.store_folder) as store:
        store.append("more", NewEvent("a.b"))
    failed = cli.run("project", "run", "--to-end")
    assert failed.returncode == 1
    assert "'timeline' could not take a.b at version 1 of run 'more'" in failed.stderr
    # then status tells, and the others went on
    status = cli.run("project", "status")
    assert status.returncode == 1
    assert "project resume timeline" in status.stderr
    shown = json.loads(cli.run("project", "status", "--json").stdout)
    items = {one["name"]: one for one in shown["items"]}
    assert items["timeline"]["failure"]["run_id"] == "more"
    assert items["runs"]["lag_events"] == 0
    # and a rebuild puts it right
    cli.text("project", "rebuild", "timeline")
    assert set(states(cli).values()) == {"running"}


def test_rows_are_verified_and_rebuilt(cli: CommandLine) -> None:
    before = rows(cli.database)
    assert "no difference" in cli.text("project", "verify")
    assert cli.json("project", "verify", "--sample", 5)["runs"] == 5
    change(cli.database, "UPDATE nodes SET label = 'x' WHERE run_id = 'run-7'")
    differing = cli.run("project", "verify")
    assert differing.returncode == 1
    assert '{"run_id":"run-7","node_id":"n"}  label   x' in differing.stdout
    assert cli.run("project", "verify", "--sample", RUNS).returncode == 1
    assert cli.json("project", "rebuild", "--run", "run-7")["rows"]["nodes"] == 1
    assert "no difference" in cli.text("project", "verify")
    change(cli.database, "DELETE FROM runs")
    done = cli.json("project", "rebuild", "runs")
    assert (done["projections"], done["events"]) == (["runs"], 10 * RUNS)
    assert "put in place in" in cli.text("project", "rebuild")
    assert rows(cli.database) == before


def test_what_cannot_be_rebuilt_is_refused(cli: CommandLine) -> None:
    for arguments in (["nobody"], ["--run", "nobody"], ["runs", "--run", "run-1"]):
        assert cli.run("project", "rebuild", *arguments).returncode == 2
    assert cli.run("project", "verify", "nobody").returncode == 2
    assert cli.run("project", "verify", "--sample", 0).returncode == 2


def test_a_damaged_database_is_told_and_made_anew(cli: CommandLine) -> None:
    whole = rows(cli.database)
    damage(cli.database, "runs")
    told = cli.run("runs", "list")
    assert (told.returncode, "rebuild --damaged" in told.stderr) == (1, True)
    cli.text("project", "rebuild", "--damaged")
    assert rows(cli.database) == whole
    assert cli.database.with_name("runs.db.damaged").exists()


def test_waiting_ends_when_the_database_shows_what_was_appended(cli: CommandLine) -> None:
    cli.text("project", "wait")
    with SyncEventStore.open(folder=cli.store_folder) as store:
        (position,) = store.append("late", NewEvent("a.b")).positions
        late = cli.run("project", "wait", position, "--timeout", 0.1)
        assert (late.returncode, "did not come within 0.1 s" in late.stderr) == (2, True)
        with cli.start("project", "wait", position, "--projection", "timeline") as waiting:
            cli.text("project", "run", "--to-end")
            assert waiting.wait(60) == 0
            waiting.communicate()
    assert cli.run("project", "wait", "x").returncode == 2
    unknown = cli.run("project", "wait", "--projection", "nobody")
    assert (unknown.returncode, "no projection 'nobody'" in unknown.stderr) == (2, True)


def test_nothing_is_made_where_nothing_was_projected(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path / "empty")
    for command in (["status"], ["pause", "runs"], ["rebuild"], ["verify"], ["wait"]):
        done = cli.run("project", *command)
        assert (done.returncode, "nothing is projected yet" in done.stderr) == (2, True)
    assert not cli.database.exists()


def test_the_database_is_an_ordinary_one_to_others(cli: CommandLine) -> None:
    with closing(sqlite3.connect(cli.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
