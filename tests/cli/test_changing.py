"""What the command line does to runs, and what it shows of their past."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

from command_line import PATIENCE_S, CommandLine
from faults import PROJECT

from cli.ground import append_run, interrupt
from eventstore import NewEvent, SyncEventStore
from replay import SyncRunControl


def test_the_state_of_a_run_at_a_version_or_time(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store, 3)
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


def test_a_resume_prints_the_context_and_a_second_one_is_refused(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store, 3)

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
            append_run(store, number)

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
            interrupt(following)

    assert (context["run_id"], context["restored"]) == ("r", True)


def test_a_context_that_nobody_read_is_handed_over_again(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store, 1)
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = run_with_output(cli, write_end, "restore")
        os.close(write_end)

        assert (done.returncode, done.stderr) == (141, "")
        (handover,) = store.due(now=datetime(2100, 1, 1, tzinfo=UTC))
        assert handover.timer.kind == "handover"


def run_with_output(
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
