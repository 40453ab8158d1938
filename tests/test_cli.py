"""The command line: its answers, its exit codes, its manners."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from command_line import PATIENCE_S, CommandLine
from faults import PROJECT, eventually

from eventstore import NewEvent, SyncEventStore
from eventstore.server import status
from projections import Projector, open_database
from replay import SyncRunControl
from replay.cli.main import commands

HEAVY = ("redis", "pydantic", "rich", "sqlite3", "asyncio", "orjson")
SECRET = "hunter2"  # noqa: S105 - it is no secret


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line in an empty folder."""
    line = CommandLine(tmp_path / "f")
    yield line
    line.close()


@pytest.fixture(scope="module")
def projected(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A folder with some runs, projected; its server has stopped. Only to be read."""
    line = CommandLine(tmp_path_factory.mktemp("runs"))
    with (
        SyncEventStore.open(folder=line.store_folder) as store,
        open_database(line.database) as database,
        Projector(store, database) as projector,
    ):
        for number in range(5):
            _append_run(store, number)
        projector.run_to_end()
    return line


def _append_run(store: SyncEventStore, number: int) -> None:
    """An order: even ones are done, the others wait for an approval; the last one forever."""
    run_id = f"order-{number}"
    labels = {"team": "blue" if number % 2 else "red", "level": number}
    created = {"input": {"n": number}, "labels": labels}
    store.append(run_id, [NewEvent("run.created", created, workflow_id="order")])
    store.append(run_id, NewEvent("node.started", {"node_id": "check", "label": "Ch\u009b2Jeck"}))
    store.append(run_id, NewEvent("node.completed", {"node_id": "check", "output": {"ok": True}}))
    if number % 2:
        SyncRunControl(store).pause(
            run_id,
            state={"step": number},
            resume_at="pay",
            window=0 if number == 1 else None,
            on_expiry="restore",
            reason="approval",
            node_id="check",
        )
    else:
        store.append(run_id, NewEvent("run.completed", {"output": number}, meta={"actor": "ann"}))


def _invoke(projected: CommandLine, *arguments: str) -> Result:
    """Run a command in this process, quickly."""
    return CliRunner().invoke(commands, ["--folder", str(projected.store_folder), *arguments])


def _json(projected: CommandLine, *arguments: str) -> Any:
    result = _invoke(projected, *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


# What it answers


def test_runs_are_listed_with_every_filter(projected: CommandLine) -> None:
    def found(*arguments: str) -> list[str]:
        page = _json(projected, "runs", "list", "--order", "created", *arguments)
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
        page = _json(projected, "runs", "list", "--limit", "2", *cursor)
        seen += [run["run_id"] for run in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = ["--cursor", page["next_cursor"]]

    assert sorted(seen) == [f"order-{number}" for number in range(5)]
    people = _invoke(projected, "runs", "list", "--limit", "2")
    assert re.search(r"--cursor \S+", people.stderr)


def test_a_run_is_shown_with_its_nodes_and_pauses(projected: CommandLine) -> None:
    shown = _json(projected, "runs", "show", "order-3")

    assert (shown["status"], shown["input"], shown["state"]) == ("paused", {"n": 3}, {"step": 3})
    assert [(n["node_id"], n["output"]) for n in shown["nodes"]] == [("check", {"ok": True})]
    assert [(p["reason"], p["status"]) for p in shown["pauses"]] == [("approval", "open")]
    people = _invoke(projected, "runs", "show", "order-3").stdout
    for part in ("order-3", "paused", '{"step":3}', "check", "approval"):
        assert part in people


def test_what_could_command_a_terminal_is_replaced(projected: CommandLine) -> None:
    people = _invoke(projected, "runs", "show", "order-3").stdout

    assert "Ch\ufffd2Jeck" in people
    assert "\u009b" not in people


def test_a_timeline_is_of_a_run_or_a_workflow(projected: CommandLine) -> None:
    of_run = _json(projected, "timeline", "order-0")["items"]
    of_all = _json(projected, "timeline", "--workflow", "order", "--type", "run.paused")["items"]
    newest = _json(projected, "timeline", "order-0", "--newest-first", "--limit", "1")

    assert [e["version"] for e in of_run] == [1, 2, 3, 4]
    assert {e["run_id"] for e in of_all} == {"order-1", "order-3"}
    assert [e["actor"] for e in newest["items"]] == ["ann"]
    assert newest["next_cursor"]
    people = _invoke(projected, "timeline", "order-0", "--source", "node").stdout
    assert people.splitlines()[0].split() == [
        "occurred", "version", "type", "node", "actor", "data",
    ]  # fmt: skip
    assert "node.completed" in people
    assert "run.created" not in people


def test_bars_are_drawn_without_a_terminal_too(projected: CommandLine) -> None:
    people = _invoke(projected, "timeline", "order-3", "--bars").stdout
    spans = _json(projected, "timeline", "order-3", "--bars")["items"]

    assert "\u25b6" in people
    assert "\x1b" not in people
    assert [(s["kind"], s["status"]) for s in spans] == [("node", "completed"), ("pause", "open")]


def test_pauses_that_wait_are_listed_and_overdue_ones_marked(projected: CommandLine) -> None:
    waiting = _json(projected, "pauses", "--order", "paused")["items"]

    assert [(p["run_id"], p["overdue"]) for p in waiting] == [("order-1", True), ("order-3", False)]
    assert _json(projected, "pauses", "--status", "resumed")["items"] == []
    assert _json(projected, "pauses", "--reason", "other")["items"] == []
    people = _invoke(projected, "pauses", "--run", "order-1").stdout
    assert "open, overdue" in people


def test_stats_count_what_was_projected(projected: CommandLine) -> None:
    found = _json(projected, "stats")

    assert (found["runs"], found["events"], found["pauses"]) == (5, 20, 2)
    assert found["runs_by_status"] == {"completed": 3, "paused": 2}
    assert found["pauses_by_reason"] == {"approval": 2}
    assert (found["still_paused"], found["late_resumes"], found["paused_seconds"]) == (2, 0, 0)
    assert found["longest_run"]["events"] == 4
    assert found["events_by_type"]["node.started"] == 5
    people = _invoke(projected, "stats").stdout
    assert re.search(r"^  completed +3$", people, re.MULTILINE)


def test_queries_start_no_server(projected: CommandLine) -> None:
    for query in (["stats"], ["runs", "list"], ["pauses"], ["project", "status"]):
        assert _invoke(projected, *query).exit_code == 0

    server = status(projected.store_folder)
    assert server is not None
    assert server.state == "stopped"


def test_the_state_of_a_run_at_a_version_or_time(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        _append_run(store, 3)
        last = store.load("order-3")[-1].occurred_at

        assert cli.json("state", "order-3")["status"] == "paused"
        assert cli.json("state", "order-3", "--at", 2)["nodes"]["check"]["status"] == "running"
        assert cli.json("state", "order-3", "--at", last.isoformat())["version"] == 4
        assert cli.json("state", "order-3", "--at", "2020-01-01")["version"] == 0
        people = cli.text("state", "order-3")
        assert '"step": 3' in people
        assert "paused in" in people
        assert cli.run("state", "order-3", "--at", 9).returncode == 2
        assert cli.run("state", "order-9").returncode == 1


# Pauses and restores


def test_a_resume_prints_the_context_and_a_second_one_is_refused(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        _append_run(store, 3)

        context = cli.json("resume", "order-3", "--patch", '{"approved": true}', "--actor", "ann")
        again = cli.run("resume", "order-3")

        assert context["state"] == {"step": 3, "approved": True}
        assert (context["resume_at"], context["actor"], context["version"]) == ("pay", "ann", 5)
        assert store.head("order-3").version == 5
    assert again.returncode == 1
    assert again.stderr == (
        f"Error: pause '{context['pause_id']}' of run 'order-3' was already ended (manual)"
        " by 'ann'\n"
    )
    assert again.stdout == ""


def test_a_restore_prints_each_context_as_a_line_of_json(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        for number in range(4):
            _append_run(store, number)

        done = cli.run("restore")
        nothing_left = cli.lines("restore", "--json")

    (context,) = map(json.loads, done.stdout.splitlines())
    assert (context["run_id"], context["cause"]) == ("order-1", "window_expired")
    assert context["state"] == {"step": 1}
    assert "1 restored" in done.stderr
    (last,) = nothing_left
    assert last["counts"]["due"] == 0


def test_a_restore_that_follows_hands_over_what_becomes_due(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        store.append("r", NewEvent("run.created", {}))
        with cli.start("restore", "--follow") as following:
            assert following.stdout is not None
            SyncRunControl(store).pause("r", state={"a": 1}, window=0.05, on_expiry="restore")
            context = json.loads(following.stdout.readline())
            _interrupt(following)

    assert (context["run_id"], context["restored"]) == ("r", True)


def test_a_context_that_nobody_read_is_handed_over_again(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        _append_run(store, 1)
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = _run_with_output(cli, write_end, "restore")
        os.close(write_end)

        assert (done.returncode, done.stderr) == (141, "")
        (handover,) = store.due(now=datetime(2100, 1, 1, tzinfo=UTC))
        assert handover.timer.kind == "handover"


# Import and export


def test_a_file_comes_in_from_stdin_and_goes_out_to_a_file(cli: CommandLine) -> None:
    lines = [{"run_id": "r", "type": "order.placed", "data": {"n": n}} for n in range(3)]
    with cli.write("in.jsonl", lines).open("rb") as source:
        report = cli.json("import", "-", stdin=source)

    cli.text("export", "out.jsonl.gz")
    cli.text("export", "out.jsonl", "--run", "r")

    assert (report["written"], report["runs"], report["bad"]) == (3, 1, 0)
    with gzip.open(cli.folder / "out.jsonl.gz") as zipped:
        assert [json.loads(line)["data"] for line in zipped] == [line["data"] for line in lines]
    assert (cli.folder / "out.jsonl").read_text() == cli.text("export")
    assert cli.text("export", "--run", "r", "--run", "r") == cli.text("export")
    assert cli.json("import", "out.jsonl")["already_there"] == 3
    assert not list(cli.folder.glob("*.part"))


def test_a_broken_line_is_named_and_what_came_before_is_kept(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}, {"run_id": "r", "kind": "b"}])

    stopped = cli.run("import", path)
    skipped = cli.run("import", path, "--skip-bad", "--json")

    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr == (
        "events stored from before that line: 1\n"
        "Error: line 2: invalid event: unknown fields 'kind'\n"
    )
    assert skipped.returncode == 0
    report = json.loads(skipped.stdout)
    assert (report["already_there"], report["bad"]) == (1, 1)
    assert skipped.stderr.startswith("left out: line 2")


def test_only_the_first_bad_lines_are_told(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}, *[{"x": n} for n in range(30)]])

    done = cli.run("import", path, "--skip-bad")

    assert len(done.stderr.splitlines()) == 12
    assert "20 more" in done.stderr
    assert "30 bad lines" in done.stdout


def test_an_export_that_fails_leaves_no_file(cli: CommandLine) -> None:
    cli.json("import", cli.write("in.jsonl", [{"run_id": "r", "type": "a"}]))
    (cli.folder / "out.jsonl").write_text("before")

    assert cli.run("export", "out.jsonl", "--run", "nothing").returncode == 1

    assert (cli.folder / "out.jsonl").read_text() == "before"
    assert not list(cli.folder.glob("*.part"))


def test_an_export_whose_reader_leaves_ends_quietly(cli: CommandLine) -> None:
    lines = [{"run_id": "r", "type": "a", "data": {"x": "y" * 1_000}} for _ in range(300)]
    cli.json("import", cli.write("in.jsonl", lines))

    with cli.start("export") as export:
        assert export.stdout is not None
        assert export.stderr is not None
        export.stdout.readline()
        export.stdout.close()
        told = export.stderr.read()
        assert (export.wait(PATIENCE_S), told) == (141, "")


def _run_with_output(
    cli: CommandLine, output: int, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replay", *arguments],
        cwd=cli.folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


# Projecting


def test_a_projector_follows_until_it_is_interrupted(cli: CommandLine) -> None:
    with (
        SyncEventStore.open(folder=cli.store_folder) as store,
        cli.start("project", "run") as projector,
    ):
        for number in range(3):
            _append_run(store, number)
        eventually(lambda: cli.projected() == 12, within_s=20)
        locked = cli.run("project", "run", "--to-end")
        _interrupt(projector)

    assert locked.returncode == 1
    assert f"process {projector.pid} on" in locked.stderr
    assert cli.json("project", "run", "--to-end")["events"] == 0


def _interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, told) == (130, "")


def test_how_far_projections_are_is_known_while_the_server_runs(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        _append_run(store, 0)
        cli.text("project", "run", "--to-end")
        _append_run(store, 1)
        running = cli.json("project", "status")["items"]
    stopped = cli.json("project", "status")["items"]

    assert {(one["name"], one["events"], one["lag_events"]) for one in running} == {
        ("agents", 4, 4),
        ("runs", 4, 4),
        ("timeline", 4, 4),
    }
    assert [one["lag_events"] for one in stopped] == [None] * 3


def test_a_terminated_command_stops_the_server_it_started(cli: CommandLine) -> None:
    with cli.start("project", "run") as projector:
        eventually(lambda: _state(cli) == "running", within_s=20)
        eventually(cli.database.exists, within_s=20)
        projector.send_signal(signal.SIGTERM)
        _, told = projector.communicate(timeout=PATIENCE_S)

    assert (projector.returncode, told) == (143, "")
    assert _state(cli) == "stopped"


def _state(cli: CommandLine) -> str | None:
    server = status(cli.store_folder)
    return server and server.state


# Where it works


def test_a_url_needs_the_path_of_a_database(projected: CommandLine, tmp_path: Path) -> None:
    url = "redis://localhost:1"

    refused = _invoke(projected, "--url", url, "stats")
    given = _invoke(projected, "--url", url, "--database", str(projected.database), "stats")

    assert refused.exit_code == 2
    assert "--database" in refused.stderr
    assert given.exit_code == 0


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_variables_name_server_and_database(cli: CommandLine, server: Any, namespace: str) -> None:
    place = {
        "RUNSTORE_REDIS_URL": server.url,
        "RUNSTORE_DATABASE": str(cli.folder / "elsewhere.db"),
    }
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])

    cli.json("--namespace", namespace, "--partitions", 3, "import", path, **place)
    cli.json("project", "run", "--to-end", "--namespace", namespace, **place)

    assert cli.json("stats", "--namespace", namespace, **place)["events"] == 1
    assert server.admin.hget(f"{namespace}:meta", "partitions") == b"3"
    assert not cli.store_folder.exists()


def test_each_namespace_of_a_folder_has_a_database_of_its_own(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])
    for namespace in ("one", "two"):
        cli.json("import", path, "--namespace", namespace)
        cli.json("project", "run", "--to-end", "--namespace", namespace)

    assert {path.name for path in cli.store_folder.glob("*.db")} == {"one.db", "two.db"}


def test_an_existing_store_keeps_its_partitions(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])
    cli.json("import", path, "--partitions", 2)

    assert cli.json("import", path)["already_there"] == 1
    refused = cli.run("import", path, "--partitions", 4)

    assert refused.returncode == 1
    assert "created with 2 partitions" in refused.stderr


@pytest.mark.parametrize(
    "command", [["stats"], ["runs", "list"], ["export"], ["restore"], ["resume", "r"]]
)
def test_an_empty_folder_says_what_to_do_and_stays_empty(
    cli: CommandLine, command: list[str]
) -> None:
    done = cli.run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.search("'runstore (import|project run)", done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert not list(cli.folder.iterdir())


# Bad usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["unheard-of"],
        ["import"],
        ["import", "nothing.jsonl"],
        ["timeline"],
        ["timeline", "r", "--workflow", "w"],
        ["timeline", "--workflow", "w", "--bars"],
        ["runs", "list", "--limit", "0"],
        ["runs", "list", "--label", "team"],
        ["runs", "list", "--created-after", "soon"],
        ["runs", "list", "--status", "dead"],
        ["runs", "list", "--order", "size"],
        ["runs", "list", "--cursor", "xx"],
        ["resume", "r", "--patch", "[1]"],
        ["resume", "r", "--patch", "{"],
        ["--partitions", "0", "stats"],
        ["--namespace", "../x", "stats"],
    ],
)
def test_wrong_usage_exits_with_2(projected: CommandLine, arguments: list[str]) -> None:
    result = _invoke(projected, *arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_a_run_that_is_not_there_exits_with_1(projected: CommandLine) -> None:
    for arguments in (["runs", "show", "x"], ["timeline", "x"], ["timeline", "x", "--bars"]):
        result = _invoke(projected, *arguments)
        assert (result.exit_code, result.stderr) == (1, "Error: no run 'x' in this store\n")


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@127.0.0.1:1",
        f"nonsense://user:{SECRET}@localhost",
        f"redis://:{SECRET}?x@127.0.0.1:1",
        f"redis+cluster://user:{SECRET}@localhost",
    ],
)
def test_a_url_that_leads_nowhere_exits_with_2_and_keeps_its_secrets(
    cli: CommandLine, url: str
) -> None:
    for command in (["restore"], ["doctor"]):
        done = cli.run("--url", url, *command, RUNSTORE_APPEND_TIMEOUT_MS="200")
        assert done.returncode == 2, done
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_wrong_password_is_refused_and_never_printed(cli: CommandLine, launch: Any) -> None:
    server = launch("redis7", tcp=True, options={"requirepass": "right"})
    url = server.url.replace("right", SECRET)
    for command in (["restore"], ["doctor"]):
        done = cli.run("--url", url, *command)
        assert done.returncode == 1
        assert "password" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + b"\xff" * 2_000])
def test_a_database_that_is_none_is_told_in_one_line(cli: CommandLine, content: bytes) -> None:
    path = cli.folder / "x.db"
    path.write_bytes(content)

    done = cli.run("--database", path, "stats")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr


def test_a_folder_that_cannot_be_made_is_told_in_one_line(cli: CommandLine) -> None:
    path = cli.write("in.jsonl", [{"run_id": "r", "type": "a"}])

    done = cli.run("import", path, "--folder", path / "below")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr


# Manners


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from replay.__main__ import main\n"
        "sys.argv = ['runstore', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, file=sys.stderr)\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    for arguments in (["--help"], ["runs", "list", "--help"], ["completion", "zsh"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "0\n[]\n"
        assert done.stdout


def test_every_command_has_help_and_takes_the_global_options() -> None:
    for name, command in commands.commands.items():
        assert command.help, name
        result = CliRunner().invoke(commands, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage: " in result.stdout
    result = CliRunner().invoke(commands, ["--help"])
    for word in ("demo", "import", "RUNSTORE_REDIS_URL", "Exit codes", "next_cursor"):
        assert word in result.stdout


def test_completion_completes_commands_and_options() -> None:
    script = CliRunner().invoke(commands, ["completion", "bash"])
    assert "_RUNSTORE_COMPLETE=bash_complete" in script.stdout

    done = subprocess.run(
        [sys.executable, "-m", "replay"],
        cwd=PROJECT,
        env={
            **os.environ,
            "_RUNSTORE_COMPLETE": "bash_complete",
            "COMP_WORDS": "runstore p",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,project", "plain,pauses", "plain,parked"]


def test_a_missing_click_is_told_in_a_sentence() -> None:
    for missing in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from replay.__main__ import main\n"
            "if sys.modules.get('click', 1) is not None:\n"
            "    import click\n"
            "    sys.stdout.isatty = lambda: True\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "doctor"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "the command line needs click and rich: pip install 'runstore[all]'\n"
        )


def test_the_version_is_told(projected: CommandLine) -> None:
    assert _invoke(projected, "--version").stdout.startswith("runstore ")


def _on_a_terminal(cli: CommandLine, *arguments: str, **environment: str) -> str:
    """Run a command on a terminal of its own; give what it shows there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "replay", *arguments],
        cwd=cli.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0, shown.decode()
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]")


def test_a_terminal_gets_tables_and_colours_unless_it_wants_none(projected: CommandLine) -> None:
    drawn = _on_a_terminal(projected, "timeline", "order-3", "--bars")
    plain = _on_a_terminal(projected, "timeline", "order-3", "--bars", NO_COLOR="1")
    table = _on_a_terminal(projected, "runs", "list", NO_COLOR="1")

    assert COLOUR.search(drawn)
    assert not COLOUR.search(plain)
    assert "\u25b6" in plain
    assert "order-4" in table
    assert not COLOUR.search(table)


def test_a_narrow_terminal_gets_columns_with_each_id_in_one_piece(projected: CommandLine) -> None:
    narrow = _on_a_terminal(projected, "pauses", COLUMNS="60")
    wide = _on_a_terminal(projected, "pauses", COLUMNS="200")

    assert [line.split()[0] for line in narrow.splitlines()] == ["run", "order-1", "order-3"]
    assert "\u2500" in wide
    assert "\u2500" not in narrow
    assert "waited s" in projected.text("pauses")  # programs get all columns,
    assert "waited s" not in wide + narrow  # people those that say something


def test_a_terminal_sees_progress_and_pipes_do_not(cli: CommandLine) -> None:
    lines = [{"run_id": f"r{n}", "type": "a"} for n in range(3_000)]
    cli.write("in.jsonl", lines)

    assert "importing" in _on_a_terminal(cli, "import", "in.jsonl")
    assert "projecting" in _on_a_terminal(cli, "project", "run", "--to-end")
    piped = cli.run("import", "in.jsonl")
    assert "importing" not in piped.stdout + piped.stderr


def test_a_package_tells_its_names_before_any_of_them_was_asked_for() -> None:
    told = "import replay; print(set(replay.__all__) <= set(dir(replay)))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
