"""Commands that go on until they are interrupted."""

from __future__ import annotations

import signal

from command_line import PATIENCE_S, CommandLine
from faults import eventually

from cli.ground import append_run, interrupt
from eventstore import SyncEventStore
from eventstore.server import status


def test_a_projector_follows_until_it_is_interrupted(cli: CommandLine) -> None:
    with (
        SyncEventStore.open(folder=cli.store_folder) as store,
        cli.start("project", "run") as projector,
    ):
        for number in range(3):
            append_run(store, number)
        eventually(lambda: cli.projected() == 12, within_s=20)
        locked = cli.run("project", "run", "--to-end")
        interrupt(projector)

    assert locked.returncode == 1
    assert f"process {projector.pid} on" in locked.stderr
    assert cli.json("project", "run", "--to-end")["events"] == 0


def test_how_far_projections_are_is_known_while_the_server_runs(cli: CommandLine) -> None:
    with SyncEventStore.open(folder=cli.store_folder) as store:
        append_run(store, 0)
        cli.text("project", "run", "--to-end")
        append_run(store, 1)
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
