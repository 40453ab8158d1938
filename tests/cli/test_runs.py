"""What the command line shows of runs, timelines, pauses and statistics."""

from __future__ import annotations

import json
import re
from typing import Any

from command_line import CommandLine

from cli.ground import invoke
from eventstore.server import status


def json_of(projected: CommandLine, *arguments: str) -> Any:
    result = invoke(projected, *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_runs_are_listed_with_every_filter(projected: CommandLine) -> None:
    def found(*arguments: str) -> list[str]:
        page = json_of(projected, "runs", "list", "--order", "created", *arguments)
        assert page["next_cursor"] is None
        return [run["run_id"].removeprefix("order-") for run in page["items"]]

    assert found() == list("01234")
    assert found("--status", "paused") == list("13")
    assert found("--status", "paused", "--status", "completed") == list("01234")
    assert found("--label", "team=blue", "--label", "level=3") == ["3"]
    assert found("--label", 'level="3"') == []
    assert found("--workflow", "order", "--created-after", "2020-01-01") == list("01234")
    assert found("--created-before", "2020-01-01T00:00:00+02:00") == []
    assert found("--ended-after", "2020-01-01T00:00Z") == list("024")
    assert found("--updated-before", "2020-01-01") == []
    assert found("--parent", "order-0") == []


def test_cursors_lead_through_all_pages(projected: CommandLine) -> None:
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = json_of(projected, "runs", "list", "--limit", "2", *cursor)
        seen += [run["run_id"] for run in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = ["--cursor", page["next_cursor"]]

    assert sorted(seen) == [f"order-{number}" for number in range(5)]
    people = invoke(projected, "runs", "list", "--limit", "2")
    assert re.search(r"--cursor \S+", people.stderr)


def test_a_run_is_shown_with_its_nodes_and_pauses(projected: CommandLine) -> None:
    shown = json_of(projected, "runs", "show", "order-3")

    assert (shown["status"], shown["input"], shown["state"]) == ("paused", {"n": 3}, {"step": 3})
    assert [(n["node_id"], n["output"]) for n in shown["nodes"]] == [("check", {"ok": True})]
    assert [(p["reason"], p["status"]) for p in shown["pauses"]] == [("approval", "open")]
    people = invoke(projected, "runs", "show", "order-3").stdout
    for part in ("order-3", "paused", '{"step":3}', "check", "approval"):
        assert part in people


def test_what_could_command_a_terminal_is_replaced(projected: CommandLine) -> None:
    people = invoke(projected, "runs", "show", "order-3").stdout

    assert "Ch\ufffd2Jeck" in people
    assert "\u009b" not in people


def test_a_timeline_is_of_a_run_or_a_workflow(projected: CommandLine) -> None:
    of_run = json_of(projected, "timeline", "order-0")["items"]
    of_all = json_of(projected, "timeline", "--workflow", "order", "--type", "run.paused")["items"]
    newest = json_of(projected, "timeline", "order-0", "--newest-first", "--limit", "1")

    assert [e["version"] for e in of_run] == [1, 2, 3, 4]
    assert {e["run_id"] for e in of_all} == {"order-1", "order-3"}
    assert [e["actor"] for e in newest["items"]] == ["ann"]
    assert newest["next_cursor"]
    people = invoke(projected, "timeline", "order-0", "--source", "node").stdout
    assert people.splitlines()[0].split() == [
        "occurred", "version", "type", "node", "actor", "data",
    ]  # fmt: skip
    assert "node.completed" in people
    assert "run.created" not in people


def test_bars_are_drawn_without_a_terminal_too(projected: CommandLine) -> None:
    people = invoke(projected, "timeline", "order-3", "--bars").stdout
    spans = json_of(projected, "timeline", "order-3", "--bars")["items"]

    assert "\u25b6" in people
    assert "\x1b" not in people
    assert [(s["kind"], s["status"]) for s in spans] == [("node", "completed"), ("pause", "open")]


def test_pauses_that_wait_are_listed_and_overdue_ones_marked(projected: CommandLine) -> None:
    waiting = json_of(projected, "pauses", "--order", "paused")["items"]

    assert [(p["run_id"], p["overdue"]) for p in waiting] == [("order-1", True), ("order-3", False)]
    assert json_of(projected, "pauses", "--status", "resumed")["items"] == []
    assert json_of(projected, "pauses", "--reason", "other")["items"] == []
    people = invoke(projected, "pauses", "--run", "order-1").stdout
    assert "open, overdue" in people


def test_stats_count_what_was_projected(projected: CommandLine) -> None:
    found = json_of(projected, "stats")

    assert (found["runs"], found["events"], found["pauses"]) == (5, 20, 2)
    assert found["runs_by_status"] == {"completed": 3, "paused": 2}
    assert found["pauses_by_reason"] == {"approval": 2}
    assert (found["still_paused"], found["late_resumes"], found["paused_seconds"]) == (2, 0, 0)
    assert found["longest_run"]["events"] == 4
    assert found["events_by_type"]["node.started"] == 5
    people = invoke(projected, "stats").stdout
    assert re.search(r"^  completed +3$", people, re.MULTILINE)


def test_queries_start_no_server(projected: CommandLine) -> None:
    for query in (["stats"], ["runs", "list"], ["pauses"], ["project", "status"]):
        assert invoke(projected, *query).exit_code == 0

    server = status(projected.store_folder)
    assert server is not None
    assert server.state == "stopped"


def test_a_run_that_is_not_there_exits_with_1(projected: CommandLine) -> None:
    for arguments in (["runs", "show", "x"], ["timeline", "x"], ["timeline", "x", "--bars"]):
        result = invoke(projected, *arguments)
        assert (result.exit_code, result.stderr) == (1, "Error: no run 'x' in this store\n")
