"""The command line changes pauses, and can say what it would do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from command_line import CommandLine

from eventstore import NewEvent, SyncEventStore
from pausing.ground import APPROVAL, KEY
from projections import Projector, open_database
from replay import SyncRunControl
from replay.cli.changing import Length
from replay.cli.main import commands


class Bench:
    """A store of its own, and the command line beside it."""

    def __init__(self, store: SyncEventStore, line: CommandLine) -> None:
        self.store = store
        self.line = line

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(
            commands,
            ["--folder", str(self.line.store_folder), *arguments],
            env={"RUNSTORE_TOKEN_KEY": KEY},
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def pause(self, run_id: str, **options: Any) -> None:
        self.store.append(run_id, NewEvent("run.created", workflow_id="intake"))
        given = {"state": {"n": 1}, "window": 3600, "on_expiry": "restore", "pause_id": "p"}
        SyncRunControl(self.store).pause(run_id, **{**given, **options})

    def types(self, run_id: str) -> list[str]:
        return [event.type for event in self.store.load(run_id, after=2)]

    def project(self) -> None:
        with (
            open_database(self.line.database) as database,
            Projector(self.store, database) as projector,
        ):
            projector.run_to_end()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    line = CommandLine(tmp_path)
    with SyncEventStore.open(folder=line.store_folder) as store:
        yield Bench(store, line)
    line.close()


def test_overdue_pauses_come_first_with_countdowns(bench: Bench) -> None:
    # given pauses that wait, one of them beyond its window, begun first
    for run_id, window in (("late", 0), ("soon", 90), ("later", 86_400 * 3), ("ever", None)):
        bench.pause(run_id, window=window)
    bench.project()
    # when they are listed
    items = bench.json("pauses")["items"]
    # then the overdue one comes first, and each tells its time
    assert items[0]["run_id"] == "late"
    assert [item["overdue"] for item in items] == [True, False, False, False]
    left = {item["run_id"]: item["left_seconds"] for item in items}
    late, ever, later, soon = (left[run_id] for run_id in ("late", "ever", "later", "soon"))
    assert (late < 0, ever, 80 < soon <= 90, later > 86_400 * 3 - 10) == (True, None, True, True)
    people = bench.run("pauses").stdout
    assert "overdue" in people.splitlines()[1]
    assert "1 min 2" in people or "1 min 30" in people
    asked = bench.json("pauses", "--order", "expires")["items"]
    assert [item["run_id"] for item in asked] == ["late", "soon", "later"]


def test_overdue_pauses_come_first_on_all_pages_and_each_pause_once(bench: Bench) -> None:
    # given overdue pauses between others, more than a page has
    for number, window in enumerate((0, 3600, 0, None, 0, 7200, 0)):
        bench.pause(f"run-{number}", window=window)
    bench.project()
    # when they are listed two a page
    pages, cursor = [], ""
    while cursor is not None:
        page = bench.json("pauses", "--limit", "2", *(["--cursor", cursor] if cursor else []))
        pages.append([item["run_id"] for item in page["items"]])
        cursor = page["next_cursor"]
    # then the overdue ones come first, and then the others, the latest first
    assert pages == [["run-0", "run-2"], ["run-4", "run-6"], ["run-5", "run-3"], ["run-1"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["resume", "run"], ["run.resumed"]),
        (["decide", '{"approved": true}', "--run", "run"], ["run.resumed"]),
        (["extend", "run", "2h"], ["run.window_extended"]),
        (["extend", "run", "never"], ["run.window_extended"]),
        (["expire", "run"], ["run.window_expired", "run.restored", "run.resumed"]),
        (["cancel", "run", "--reason", "no"], ["run.resumed"]),
        (["abort", "run", "--reason", "no"], ["run.aborted"]),
    ],
)
def test_what_would_be_done_is_done_without_the_option(
    bench: Bench, arguments: list[str], expected: list[str]
) -> None:
    # given a run that waits
    bench.pause("run", decision_schema=APPROVAL)
    # when a command is rehearsed
    told = bench.json(*arguments, "--dry-run")
    # then it tells what it would record, and records nothing
    assert (told["run_id"], [event["type"] for event in told["would_record"]]) == ("run", expected)
    assert "would record" in bench.run(*arguments, "--dry-run").stdout
    assert bench.types("run") == []
    # and without that it does so
    assert bench.run(*arguments).exit_code == 0
    assert bench.types("run") == expected


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["decide", "{}", "--run", "run"], 1, "'approved' is a required property"),
        (["decide", "{}", "--token", "abc"], 1, "no resume token"),
        (["decide", "{}"], 2, "run_id, or a token"),
        (["decide", "{", "--run", "run"], 2, "JSON"),
        (["extend", "run", "soon"], 2, "no length of time"),
        (["extend", "run", "-5s"], 2, "is no length of time"),
        (["extend", "run", "40000d"], 2, "century"),
        (["expire", "run", "--pause", "q"], 1, "no pause 'q'"),
        (["cancel", "nobody"], 1, "no run 'nobody'"),
        (["abort", "nobody"], 1, "no run 'nobody'"),
        (["delete", "nobody", "--yes"], 1, "no run 'nobody'"),
        (["fork", "nobody", "new"], 1, "no run 'nobody'"),
        (["fork", "run", "done"], 1, "'done' is there already"),
        (["rerun", "nobody", "node", "new"], 1, "no run 'nobody'"),
        (["signal", "paid", "{}", "--run", "nobody"], 1, "no run 'nobody'"),
        (["watch", "add", "nobody", "paid"], 1, "no run 'nobody'"),
        (["watch", "remove", "nobody", "w"], 1, "no run 'nobody'"),
        (["watch", "remove", "run", "w"], 1, "no watch w"),
        (["parked", "redrive", "nobody", "run"], 1, "no consumer group"),
        (["parked", "discard", "nobody", "run", "--yes"], 1, "no consumer group"),
        *(
            ([*command, "done", *more], 1, "ended at version 2")
            for command, more in (
                (["resume"], []),
                (["decide", "{}", "--run"], []),
                (["extend"], ["2h"]),
                (["expire"], []),
                (["cancel"], []),
                (["abort"], []),
                (["signal", "paid", "{}", "--run"], []),
                (["watch", "add"], ["paid"]),
            )
        ),
    ],
)
def test_what_cannot_be_done_is_told(
    bench: Bench, arguments: list[str], code: int, why: str, dry_run: list[str]
) -> None:
    bench.pause("run", decision_schema=APPROVAL)
    bench.store.append("done", [NewEvent("run.created"), NewEvent("run.completed")])
    done = bench.run(*arguments, *dry_run)
    assert done.exit_code == code, done.output
    assert why in done.stderr
    assert bench.types("run") == []


def test_a_link_decides_once(bench: Bench) -> None:
    bench.pause("run", decision_schema=APPROVAL)
    token = bench.run("link", "run").stdout.strip()
    context = bench.json("decide", '{"approved": true}', "--token", token, "--actor", "ann")
    assert (context["run_id"], context["answer"]) == ("run", {"approved": True})
    again = bench.run("decide", '{"approved": true}', "--token", token)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "by 'ann'" in again.stderr


def test_restoring_is_rehearsed_and_done(bench: Bench) -> None:
    # given runs beyond their windows
    bench.pause("a", window=0)
    bench.pause("b", window=0, on_expiry="fail")
    # when that is rehearsed, twice / then nothing is taken
    for _ in range(2):
        done = bench.run("restore", "once", "--dry-run")
        assert done.stdout.count("would record") == 5, done.output
    assert bench.types("a") == bench.types("b") == []
    # when it is done / then each took its effect, and the counts tell how late
    done = bench.run("restore", "once", "--json")
    context, counts = map(json.loads, done.stdout.splitlines())
    assert context["run_id"] == "a"
    assert (counts["counts"]["restored"], counts["counts"]["failed"]) == (1, 1)
    assert counts["counts"]["lateness"]["max_ms"] >= 0
    assert bench.types("b") == ["run.window_expired", "run.failed"]


def test_silent_runs_are_reconciled(bench: Bench) -> None:
    # given a run that is silent for longer than it may
    options = {"stall_after_ms": 1}
    created = NewEvent("run.created", {"options": options})
    bench.store.append("run", [created, NewEvent("node.started", {"node_id": "n"})])
    bench.store.append("other", NewEvent("run.created"))
    # when that is rehearsed, and done
    assert "run.recovered of run" in bench.run("reconcile", "--dry-run").stdout
    assert bench.types("run") == []
    done = bench.run("reconcile")
    # then it is taken from its worker
    assert json.loads(done.stdout.splitlines()[0])["cause"] == "recovered"
    assert bench.types("run") == ["run.recovered"]
    assert "1 recovered" in done.stderr


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90", timedelta(seconds=90)),
        ("1.5s", timedelta(milliseconds=1_500)),
        ("250ms", timedelta(milliseconds=250)),
        ("15min", timedelta(minutes=15)),
        ("2 h", timedelta(hours=2)),
        ("30d", timedelta(days=30)),
        ("never", None),
    ],
)
def test_a_length_of_time_is_read(text: str, length: timedelta | None) -> None:
    assert Length().convert(text, None, None) == length


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1y", "1h30", "9" * 400])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        Length().convert(text, None, None)
