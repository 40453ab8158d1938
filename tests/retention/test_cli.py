"""``runstore trim``: what people and programs read, what it does, how it exits."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from faults import eventually
from samples import ended, noted, notes

from eventstore import SyncEventStore
from retention.ground import Ground

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)
RUN = "run"


class OnServer(CommandLine):
    """The command line on a server, a namespace and an archive."""

    def __init__(self, folder: Path, ground: Ground) -> None:
        super().__init__(folder)
        self._where = ("--url", ground.server.url, "--namespace", ground.namespace)
        self._archive = {"RUNSTORE_ARCHIVE": str(ground.path)}

    def start(self, *arguments: object, **details: Any) -> Any:
        return super().start(*self._where, *arguments, **{**self._archive, **details})


@pytest.fixture
def cli(ground: Ground, tmp_path: Path) -> OnServer:
    ground.append(RUN, *notes(10))
    ground.append("over", noted(), ended())
    return OnServer(tmp_path / "cli", ground)


def test_it_tells_what_left_and_what_holds_the_rest(cli: OnServer, ground: Ground) -> None:
    ground.archive()
    ground.append(RUN, noted("not archived yet"))

    done = cli.run("trim")

    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == [
        "partition",
        "trimmed",
        "left",
        "held",
        "back",
        "by",
    ]
    assert "the archive has come to" in done.stdout
    assert done.stderr == "10 entries left the log, 1 runs left Redis\n"
    assert not ground.holds_stream("over")
    assert ground.store.load("over") == ground.runs["over"]


def test_it_tells_programs_the_same(cli: OnServer, ground: Ground) -> None:
    ground.archive()
    place = ground.runs[RUN][3].position
    ground.store.report_reader("rows", {place.partition: place})

    told = cli.json("trim")

    assert told["archive"] == str(ground.path)
    assert (told["dry_run"], told["dropped_runs"]) == (False, 1)
    assert told["trimmed"] == sum(each["trimmed"] for each in told["partitions"])
    held = told["partitions"][place.partition]["held_by"]
    assert held == {"kind": "reader", "name": "rows", "position": str(place)}


def test_a_dry_run_counts_only(cli: OnServer, ground: Ground) -> None:
    ground.archive()

    told = cli.json("trim", "--dry-run")

    assert (told["dry_run"], told["trimmed"], told["dropped_runs"]) == (True, 10, 1)
    assert ground.holds_stream("over")
    assert "would leave" in cli.run("trim", "--dry-run").stderr
    assert cli.json("trim")["trimmed"] == 10


def test_the_grace_is_given_in_seconds(cli: OnServer, ground: Ground) -> None:
    ground.archive()
    ground.store.report_reader("rows", {})

    assert cli.json("trim")["trimmed"] == 0
    assert cli.json("trim", "--group-grace", "0.001")["trimmed"] == 10


def test_without_an_archive_it_says_what_to_do(cli: OnServer, ground: Ground) -> None:
    missing = cli.run("trim")
    unnamed = cli.run("trim", RUNSTORE_ARCHIVE="")

    assert (missing.returncode, unnamed.returncode) == (2, 2)
    assert str(ground.path) in missing.stderr
    assert "RUNSTORE_ARCHIVE" in unnamed.stderr
    assert ground.length(ground.runs[RUN][0].position.partition) >= 10


def test_it_follows_until_it_is_interrupted(cli: OnServer, ground: Ground) -> None:
    with cli.start("trim", "--follow", "--every", "0.1", "--json") as process:
        ground.archive()
        told = json.loads(process.stdout.readline())
        assert told["trimmed"] == 10
        ground.append(RUN, *notes(5))
        ground.archive()
        eventually(lambda: ground.length(ground.runs[RUN][0].position.partition) == 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_the_archive_of_another_store_is_refused(cli: OnServer, ground: Ground) -> None:
    ground.archive()
    with SyncEventStore.open(ground.server.url, namespace=f"{ground.namespace}-x"):
        done = cli.run("trim", "--namespace", f"{ground.namespace}-x")

    assert done.returncode == 1
    assert "belongs to namespace" in done.stderr
    ground.server.forget(f"{ground.namespace}-x")
