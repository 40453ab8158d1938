"""The commands that read: they need no server and nothing else that runs."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from faults import eventually
from histories import project

from read_side.agent_runs import RUNS, at, event, log


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a folder with a database and without any server."""
    line = CommandLine(tmp_path)
    line.store_folder.mkdir()
    project(line.database, log())
    yield line
    line.close()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_lists_are_written_as_csv(cli: CommandLine) -> None:
    runs = rows(cli.text("runs", "list", "--csv", "--sort", "created"))
    assert [(run["run_id"], run["status"]) for run in runs] == [
        ("ask-1", "completed"),
        ("ask-2", "failed"),
        ("plan-1", "running"),
    ]
    assert json.loads(runs[1]["labels"]) == {"team": "x", "rank": 1}
    assert runs[0]["created_at"] == at(0).isoformat()
    assert runs[0]["parent"] == ""
    for arguments in (
        ["timeline", "ask-1"],
        ["search", "invoice"],
        ["agents", "threads"],
        ["agents", "messages", "t-1"],
        ["agents", "runs", "--agent", "support"],
        ["stats", "--by", "hour"],
        ["stats", "--durations"],
        ["timeline", "ask-1", "--bars"],
    ):
        assert rows(cli.text(*arguments, "--csv")), arguments


def test_pages_lead_on_and_back(cli: CommandLine) -> None:
    first = cli.json("runs", "list", "--limit", "2")
    second = cli.json("runs", "list", "--limit", "2", "--cursor", first["next_cursor"])
    again = cli.json("runs", "list", "--limit", "2", "--cursor", second["previous_cursor"])
    assert (again["items"], again["next_cursor"]) == (first["items"], first["next_cursor"])
    told = cli.run("runs", "list", "--limit", "2", "--cursor", first["next_cursor"]).stderr
    assert second["previous_cursor"] in told


def test_a_search_finds_events_and_runs(cli: CommandLine) -> None:
    found = cli.json("search", "refund", "failed", "--source", "log")["items"]
    assert [(one["run_id"], one["version"]) for one in found] == [("ask-2", 6)]
    assert "ask-2" in cli.text("search", "ref*")
    runs = cli.json("runs", "list", "--text", "trip")["items"]
    assert [run["run_id"] for run in runs] == ["plan-1"]


def test_a_search_works_where_nothing_may_be_written(cli: CommandLine) -> None:
    cli.store_folder.chmod(0o500)
    cli.database.chmod(0o400)
    try:
        assert len(cli.json("search", "refund")["items"]) == 2
    finally:
        cli.store_folder.chmod(0o700)


def test_agents_are_shown(cli: CommandLine) -> None:
    threads = cli.json("agents", "threads", "--agent", "support")["items"]
    assert [(one["thread_id"], one["messages"]) for one in threads] == [("t-1", 3)]
    messages = cli.json("agents", "messages", "t-1", "--role", "user")["items"]
    assert [one["content"] for one in messages] == ["Where is my invoice?", "And the refund?"]
    assert len(cli.json("agents", "runs", "--thread", "t-1")["items"]) == 2
    assert "And the refund?" in cli.text("agents", "messages", "--run", "ask-2")
    for wrong in (["agents", "messages"], ["agents", "runs"]):
        assert cli.run(*wrong).returncode == 2


def test_a_run_is_a_page_to_read(cli: CommandLine) -> None:
    page = cli.text("runs", "show", "ask-1")
    for part in ("40 input_tokens", "attempts", "retrying", "large", "Where is my invoice?"):
        assert part in page
    shown = cli.json("runs", "show", "ask-1")
    assert [len(shown[part]) for part in ("attempts", "calls", "messages")] == [2, 2, 2]


def test_a_deleted_run_says_so(cli: CommandLine) -> None:
    gone = [*RUNS["ask-2"], event("run.deleted", 60, reason="asked for", actor="bob")]
    project(cli.database, log(RUNS | {"ask-2": gone}))
    for asked in (
        ["runs", "show", "ask-2"],
        ["timeline", "ask-2"],
        ["timeline", "ask-2", "--bars"],
    ):
        done = cli.run(*asked)
        assert done.returncode == 1
        assert "was deleted at 2024-01-01 01:00:00 by bob: asked for" in done.stderr
    assert "no run 'nobody'" in cli.run("timeline", "nobody").stderr


def test_sums_are_printed(cli: CommandLine) -> None:
    activity = cli.json("stats", "--by", "hour", "--workflow", "support")["items"]
    assert [(one["started"], one["ended"], one["failed"]) for one in activity] == [(2, 2, 1)]
    durations = cli.json("stats", "--durations")
    assert durations["runs"][0]["seconds"]["mean"] == 480
    assert cli.json("stats", "--waits")["items"] == []
    assert "95 % s" in cli.text("stats", "--durations")
    for wrong in (["--csv"], ["--by", "hour", "--waits"], ["--since", "2024-01-01"]):
        assert cli.run("stats", *wrong).returncode == 2
    assert cli.run("stats", "--by", "century").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        (["timeline", "plan-1", "--follow", "--limit", "2"], "node.completed", "call.started"),
        (["timeline", "--workflow", "planner", "--follow"], "plan-1", "call.started"),
        (["timeline", "plan-1", "--follow", "--json"], '"version":5', '"version":6'),
        (["timeline", "plan-1", "--follow", "--csv"], "plan-1,5,node.completed", "plan-1,6,"),
        (["timeline", "plan-1", "--follow", "--bars"], "think", "lookup"),
        (
            ["runs", "list", "--watch", "--workflow", "planner"],
            "running       5",
            "running       6",
        ),
    ],
)
def test_what_is_followed_shows_what_is_projected_next(
    cli: CommandLine, arguments: list[str], before: str, after: str
) -> None:
    grown = [*RUNS["plan-1"], event("call.started", 40, "planner", call_id="z", name="lookup")]
    seen: list[str] = []
    with cli.start(*arguments, "--every", "0.05") as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            if before in line and len(seen) < 100:
                project(cli.database, log(RUNS | {"plan-1": grown}))
            if after in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        eventually(lambda: process.poll() is not None)
    assert after in seen[-1]
    assert process.returncode == 130
    assert after not in rest


def test_following_begins_at_the_latest(cli: CommandLine) -> None:
    for wrong in (["--newest-first"], ["--cursor", "x"]):
        assert cli.run("timeline", "ask-1", "--follow", *wrong).returncode == 2
