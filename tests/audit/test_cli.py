"""``runstore audit``, ``diff``, ``fork`` and ``rerun``, as people and programs run them."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from archive.filing import tamper
from command_line import CommandLine

KEY = {"RUNSTORE_SEAL_KEY": "6b" * 32}
AT = "2024-05-01T12:0{}:00Z"
WORKFLOW = """
def decide(state, events):
    return ["run.completed"] if state.version == 6 else []

decide.decides = {"run.completed"}
nothing = 1
"""


def lines() -> list[dict[str, Any]]:
    """Make a run of six events, a minute apart."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("run.created", {"input": 7}),
        ("node.started", {"node_id": "a"}),
        ("node.completed", {"node_id": "a", "patch": {"a": 1}}),
        ("node.started", {"node_id": "b"}),
        ("node.completed", {"node_id": "b", "patch": {"a": 2, "b": 1}}),
        ("run.completed", {}),
    ]
    return [
        {
            "run_id": "run",
            "workflow_id": "orders",
            "type": kind,
            "data": data,
            "occurred_at": AT.format(n),
            "meta": {"actor": "ann"},
        }
        for n, (kind, data) in enumerate(steps)
    ]


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a folder with a store of one run."""
    line = CommandLine(tmp_path / "f")
    line.text("import", line.write("lines.jsonl", lines()))
    yield line
    line.close()


@pytest.fixture
def followed(cli: CommandLine) -> CommandLine:
    """Give one that is archived and projected too."""
    cli.text("archive", "run", "--to-end", **KEY)
    cli.text("project", "run", "--to-end")
    return cli


def test_a_projection_that_has_no_rows_yet_is_told_and_the_others_are_checked(
    followed: CommandLine,
) -> None:
    # given a database from before a package with a projection was installed
    with closing(sqlite3.connect(followed.database)) as database, database:
        database.execute("DELETE FROM projections WHERE name = 'agents'")
    # when all is verified
    done = followed.run("audit", "verify", "--json", **KEY)
    found = json.loads(done.stdout)
    # then the others are, and it is said which one was not
    assert (found["projections"], found["findings"]) == (["runs", "timeline"], [])
    assert done.returncode == 2
    assert found["unchecked"] == ["projection agents: the database has no rows of it yet"]


def test_a_clean_store_is_proved_and_exits_with_0(followed: CommandLine) -> None:
    found = followed.json("audit", "verify", **KEY)
    assert (found["events"], found["runs"], found["findings"]) == (6, 1, [])
    assert found["archive"]["signatures"] == "good"
    assert set(found["projections"]) >= {"runs", "timeline", "agents"}
    told = followed.run("audit", "verify", **KEY)
    assert "everything is as it was written" in told.stderr


def test_findings_exit_with_1_and_are_named(followed: CommandLine) -> None:
    tamper(followed.database, "UPDATE timeline SET type = 'x' WHERE version = 3")
    archive = followed.store_folder / "runs.archive.db"
    tamper(archive, "UPDATE events SET event = NULL WHERE version = 4")
    done = followed.run("audit", "verify", **KEY)
    assert done.returncode == 1
    assert "timeline" in done.stdout
    found = followed.run("audit", "verify", "--json", **KEY)
    assert found.returncode == 1
    assert '"part":"archive"' in found.stdout
    assert '"part":"projection"' in found.stdout


def test_what_could_not_be_checked_exits_with_2(
    followed: CommandLine, cli: CommandLine, tmp_path: Path
) -> None:
    # given signatures without their key, a key that is none, and a folder without a store
    done = followed.run("audit", "verify")
    assert done.returncode == 2
    assert "key missing" in done.stderr
    assert cli.run("audit", "verify", RUNSTORE_SEAL_KEY="x").returncode == 2
    assert CommandLine(tmp_path / "empty").run("audit", "verify").returncode == 2


def test_a_store_alone_can_be_checked(cli: CommandLine) -> None:
    done = cli.run("audit", "verify")
    assert done.returncode == 0
    assert "there is no archive to check" in done.stderr
    assert "there is no database of projections to check" in done.stderr


def test_a_history_is_told_as_a_tree(cli: CommandLine) -> None:
    items = cli.json("audit", "history", "run")["items"]
    assert [(one["version"], one["depth"], one["cause"], one["actor"]) for one in items] == [
        *((1, 0, None, "ann"), (2, 0, None, "ann"), (3, 1, 2, "ann")),
        *((4, 0, None, "ann"), (5, 1, 4, "ann"), (6, 0, None, "ann")),
    ]
    assert "  node.completed (a)" in cli.text("audit", "history", "run")
    assert cli.run("audit", "history", "nobody").returncode == 1


def test_decisions_are_replayed(cli: CommandLine) -> None:
    # given a workflow that now ends a run one event later
    (cli.folder / "orders.py").write_text(WORKFLOW)
    done = cli.run("audit", "check", "orders:decide", "--since", "2024-05-01")
    assert done.returncode == 1
    assert "run.completed was recorded, and the workflow decides nothing here" in done.stdout
    # when other runs are asked for / then none differs
    found = cli.json("audit", "check", "orders:decide", "--since", "2025-01-01")
    assert (found["runs"], found["diverged"]) == (0, 0)
    for name in ("orders", "orders:", "orders:missing", "orders:nothing", "nowhere:x"):
        assert cli.run("audit", "check", name).returncode == 2


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.cloudevents.jsonl", "out.parquet"])
def test_events_go_out_and_come_back_in_the_format_of_the_files_name(
    cli: CommandLine, tmp_path: Path, name: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    assert cli.json("audit", "export", name)["events"] == 6
    other = CommandLine(tmp_path / "other")
    assert other.json("import", cli.folder / name)["written"] == 6
    again = cli.json("import", name)
    assert (again["written"], again["already_there"]) == (0, 6)
    other.close()


def test_a_format_may_be_named(cli: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.text("export", "-", "--format", "csv"))))
    assert [row["type"] for row in rows][::5] == ["run.created", "run.completed"]
    assert cli.run("export", "-", "--format", "xml").returncode == 2


def test_states_and_differences_are_told_at_versions_and_times(cli: CommandLine) -> None:
    assert cli.json("state", "run", "--at", 3)["state"] == {"a": 1}
    assert cli.json("diff", "run", 3)["items"] == [
        {"path": "/state/a", "kind": "changed", "old": 1, "new": 2},
        {"path": "/state/b", "kind": "added", "old": None, "new": 1},
        {"path": "/status", "kind": "changed", "old": "running", "new": "completed"},
    ]
    assert "/state/a" in cli.text("diff", "run", AT.format(2), AT.format(4))
    assert len(cli.json("diff", "run", 3, "--all")["items"]) > 3
    assert cli.run("diff", "run", 3, 7).returncode == 2
    assert cli.run("diff", "nobody", 3).returncode == 1


def test_a_run_is_forked_once_and_can_be_tried(cli: CommandLine) -> None:
    arguments = ["fork", "run", "new", "--at", 3, "--patch", '{"x": 1}', "--actor", "bob"]
    tried = cli.json(*arguments, "--dry-run")
    assert (tried["version"], tried["dry_run"]) == (4, True)
    assert cli.run("state", "new").returncode == 1
    assert "3 events copied, now at version 4" in cli.text(*arguments)
    assert cli.json(*arguments)["already_there"]
    assert cli.json("state", "new")["state"] == {"a": 1, "x": 1}
    assert cli.json("state", "new")["parent"] == "run"
    # and onto another run it is refused
    assert cli.run("fork", "run", "run", "--at", 2).returncode == 1
    assert cli.run("fork", "run", "more", "--at", 9).returncode == 2
    assert cli.run("fork", "run", "more", "--patch", "[]").returncode == 2


def test_a_run_is_run_again_from_a_node(cli: CommandLine) -> None:
    tried = cli.json("rerun", "run", "b", "new", "--dry-run")
    assert (tried["version"], tried["cleared"]) == (3, ["b"])
    assert "cleared: b" in cli.run("rerun", "run", "b", "new").stderr
    assert cli.json("state", "new")["state"] == {"a": 1}
    assert cli.json("rerun", "run", "a", "kept", "--keep", "b")["kept"] == ["b"]
    assert cli.run("rerun", "run", "c", "more").returncode == 2
