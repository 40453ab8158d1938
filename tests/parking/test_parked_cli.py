"""``runstore parked``: what it lists, shows, redrives and discards, while nothing is served."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from faults import eventually
from servers import AnyServer

from eventstore import SyncEventStore
from parking.fake_owner import FakeOwner, failure

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)

NASTY = "\x1b[31mred\x1b[0m \x07 \u2028 bell"


class Line:
    """The command line on a server with parked runs of group ``g``."""

    def __init__(self, folder: Path, server: AnyServer, namespace: str) -> None:
        self._cli = CommandLine(folder)
        self._where = ("--url", server.url, "--namespace", namespace)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self._cli.run("parked", *arguments, *self._where)

    def beside(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run another command on the same store."""
        return self._cli.run(*arguments, *self._where)

    def text(self, *arguments: object) -> str:
        return self._cli.text("parked", *arguments, *self._where)

    def json(self, *arguments: object) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.text(*arguments, "--json"))
        return found

    def told(self, *arguments: object) -> tuple[int, str]:
        """Give the exit code and the message of a command that does not succeed."""
        done = self.run(*arguments)
        assert done.stdout == ""
        return done.returncode, done.stderr

    def names(self, *arguments: object) -> list[str]:
        items = self.json("list", "g", *arguments)["items"]
        assert isinstance(items, list)
        return [item["run_id"] for item in items]


@pytest.fixture
def line(tmp_path: Path, server: AnyServer, namespace: str, owner: FakeOwner) -> Line:
    for number in range(6):
        owner.append(f"run-{number}", 3, workflow_id="even" if number % 2 == 0 else "odd")
    owner.read()
    for number in range(6):
        kind = "KeyError" if number == 4 else "ValueError"
        owner.park(f"run-{number}", 1, failure(f"number {number}", kind=kind))
        _let_a_millisecond_pass(server)
    owner.hold_back("run-4", 2, 3)
    return Line(tmp_path / "f", server, namespace)


def _let_a_millisecond_pass(server: AnyServer) -> None:
    """So that runs of different partitions have an order too."""
    seconds, microseconds = server.admin.time()
    eventually(lambda: server.admin.time() >= (seconds, microseconds + 1_000))


def test_the_list_shows_each_run_with_its_error(line: Line) -> None:
    shown = line.text("list", "g")

    heading, latest, *rest = shown.splitlines()
    assert heading.split() == [
        "run", "workflow", "failed", "versions", "deliveries", "parked", "state", "place", "error",
    ]  # fmt: skip
    assert latest.startswith("run-5")
    assert latest.endswith("ValueError: number 5")
    assert len(rest) == 5
    assert re.search(r"^run-4 .* 1 to 3 .* parked .* KeyError: number 4$", shown, re.MULTILINE)


def test_the_list_is_filtered_ordered_and_paged(line: Line) -> None:
    assert line.names() == [f"run-{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert line.names("--order", "parked", "--workflow", "even") == ["run-0", "run-2", "run-4"]
    assert line.names("--kind", "KeyError") == ["run-4"]
    assert line.names("--text", "NUMBER 2", "--type", "note.taken") == ["run-2"]
    assert line.names("--run", "run-3", "--state", "parked") == ["run-3"]
    assert line.names("--parked-before", "2020-01-01") == []
    assert len(line.names("--parked-after", "2020-01-01")) == 6

    page = line.json("list", "g", "--limit", 4)
    rest = line.names("--limit", 4, "--cursor", page["next_cursor"])
    assert rest == ["run-1", "run-0"]
    assert f"--cursor {page['next_cursor']}" in line.run("list", "g", "--limit", 4).stderr


def test_a_run_is_shown_with_its_traceback_and_events(line: Line) -> None:
    shown = line.text("show", "g", "run-4")
    found = line.json("show", "g", "run-4", "--events", 2)

    assert "versions 1 to 3" in shown
    assert "KeyError: number 4\nTraceback: in handle\n" in shown
    assert len(re.findall(r"note\.taken", shown)) == 4
    failed = found["failure"]
    assert isinstance(failed, dict)
    assert failed["traceback"] == "Traceback: in handle"
    assert failed["first_at"] == "1970-01-01T00:00:01Z"
    events = found["events"]
    assert isinstance(events, list)
    assert [event["version"] for event in events] == [1, 2]
    assert (found["first_version"], found["last_version"], found["missing"]) == (1, 3, None)


def test_nothing_that_is_shown_commands_the_terminal(line: Line, owner: FakeOwner) -> None:
    owner.append("nasty", 1)
    owner.read()
    owner.park("nasty", 1, failure(NASTY, kind="\x1b]0;title\x07", traceback=f"a\n\tb {NASTY}\r"))

    for shown in (line.text("list", "g"), line.text("show", "g", "nasty")):
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", shown) is None
        assert "red" in shown
    assert line.names("--run", "nasty") == ["nasty"]


def test_a_redrive_says_how_many_and_needs_to_be_told_which(line: Line, owner: FakeOwner) -> None:
    assert line.text("redrive", "g", "--all", "--dry-run") == ("6 parked runs would be redriven\n")
    assert owner.redrives() == []
    assert line.json("redrive", "g", "run-1") == {"redriven": 1, "dry_run": False}
    again = line.run("redrive", "g", "run-1")
    assert (again.returncode, again.stdout) == (0, "0 parked runs will be redriven\n")
    assert "run 'run-1' is to be redriven already" in again.stderr
    assert line.text("redrive", "g", "--workflow", "odd") == "2 parked runs will be redriven\n"
    assert line.json("redrive", "g", "--all", "--dry-run") == {"redriven": 3, "dry_run": True}
    assert line.text("redrive", "g", "--all") == "3 parked runs will be redriven\n"
    assert len(owner.redrives()) == 6
    assert line.names("--state", "redrive", "--limit", 2) == ["run-5", "run-4"]


def test_a_redrive_goes_up_to_a_place(line: Line, owner: FakeOwner) -> None:
    items = line.json("list", "g", "--order", "parked")["items"]
    assert isinstance(items, list)

    assert line.json("redrive", "g", "--up-to", items[2]["place"])["redriven"] == 3

    assert {run.run_id for run in owner.redrives()} == {"run-0", "run-1", "run-2"}


def test_a_discard_asks_unless_told_not_to(line: Line, owner: FakeOwner) -> None:
    assert line.text("discard", "g", "--kind", "KeyError", "--dry-run") == (
        "1 parked run would be discarded\n"
    )
    code, message = line.told("discard", "g", "--kind", "KeyError")
    assert (code, "Discard 1 parked run of group g?" in message) == (1, True)
    assert len(owner.set_aside()) == 6

    assert line.text("discard", "g", "--kind", "KeyError", "--yes") == "1 parked run discarded\n"
    assert line.json("discard", "g", "--all", "--yes") == {"discarded": 5, "dry_run": False}
    assert owner.set_aside() == {}
    assert line.text("discard", "g", "--all") == "0 parked runs discarded\n"


def test_the_page_of_the_group_sums_up_errors_and_says_what_to_type(line: Line) -> None:
    # given five runs that are parked for one error, and one for another; one is to be redriven
    line.text("redrive", "g", "run-1")
    # when somebody looks at the group, and at everything
    page, doctor = line.beside("groups", "show", "g"), line.beside("doctor")
    told = json.loads(line.beside("groups", "show", "g", "--json").stdout)
    # then the errors are there, the most frequent first, each with the latest run
    rows = page.stdout.split("parked, by error")[1].splitlines()[2:4]
    assert [(row.split()[0], row.split()[-3:]) for row in rows] == [
        ("5", ["ValueError:", "number", "5"]),
        ("1", ["KeyError:", "number", "4"]),
    ]
    first, second = told["parked_errors"]
    assert (first["kind"], first["type"], first["run_id"]) == ("ValueError", "note.taken", "run-5")
    assert (first["runs"], second["runs"]) == (5, 1)
    # and people are told the command that comes next
    for said in (page.stderr, doctor.stdout):
        assert "5 runs are set aside: 'runstore parked list g' tells why" in said


def test_a_reset_tells_of_the_runs_that_stay_set_aside(line: Line) -> None:
    again = line.beside("groups", "reset", "g", "--to", "beginning", "--dry-run")
    anew = line.beside("groups", "reset", "g", "--to", "beginning", "--dry-run", "--drop-parked")

    assert "6 runs stay set aside" in again.stderr
    assert (anew.returncode, anew.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["redrive", "discard"])
def test_what_is_meant_must_be_said(line: Line, owner: FakeOwner, verb: str) -> None:
    before = owner.set_aside()

    code, message = line.told(verb, "g")
    assert (code, "--all" in message) == (2, True)
    code, message = line.told(verb, "g", "run-1", "--all")
    assert (code, "stands alone" in message) == (2, True)
    code, message = line.told(verb, "g", "run-\x1b9")
    assert (code, "control characters" in message, "\x1b" in message) == (2, True, False)
    code, message = line.told(verb, "g", "run-9")
    assert (code, "run 'run-9' is not parked for group 'g'" in message) == (1, True)
    code, message = line.told(verb, "h", "--all", *(["--yes"] if verb == "discard" else []))
    assert (code, "no consumer group 'h' (known: g)" in message) == (1, True)

    assert owner.set_aside() == before


def test_what_cannot_be_listed_or_shown_is_told(line: Line) -> None:
    assert line.told("show", "g", "run-9")[0] == 1
    assert line.told("list", "h")[0] == 1
    for wrong in (
        ("--cursor", "x"),
        ("--order", "run"),
        ("--state", "dead"),
        ("--up-to", "x"),
        ("--limit", 0),
        ("--parked-after", "soon"),
    ):
        assert line.told("list", "g", *wrong)[0] == 2, wrong


def test_without_a_url_it_is_the_folders_store(tmp_path: Path, line: Line) -> None:
    with closing(CommandLine(tmp_path / "embedded")) as cli:
        nothing = cli.run("parked", "list", "g")
        SyncEventStore.open(folder=cli.store_folder).close()
        no_group = cli.run("parked", "list", "g")

    assert (nothing.returncode, "there is no store" in nothing.stderr) == (2, True)
    assert (no_group.returncode, "no consumer group 'g'" in no_group.stderr) == (1, True)
