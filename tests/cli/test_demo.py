"""The demo, for real: its processes, its accidents, its facts, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from faults import PROJECT, eventually

from eventstore import EventStore, NewEvent, SyncEventStore
from projections import Projector, fold, open_database
from replay import RunControl
from replay.demo import orders
from replay.demo.facts import Facts, check
from replay.demo.orders import Order, make_orders
from replay.demo.processes import worker
from replay.demo.processes.execution import Execution

DEMO = [sys.executable, "-m", "replay", "demo"]
MISPLANNED = """
from dataclasses import replace
from replay.demo import orders
orders.STORIES = (replace(orders.STRAIGHT, ends="failed"),)
from replay.demo.command import demo
demo()
"""
ENDS_WITHIN_S = 90
PLAN = {"completed": 11, "failed": 2, "aborted": 2, "paused": 1}

only_valkey = pytest.mark.parametrize("server", ["valkey"], indirect=True)


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=ENDS_WITHIN_S,
        check=False, **options,
    )  # fmt: skip


def living(folder: Path) -> list[list[str]]:
    """Every process that works in a folder: those of the demo, and the embedded server."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(folder) in " ".join(words):
            found.append(words)
    return found


# The whole of it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, Any]:
    """Give the facts of a demo in an empty folder."""
    done = run([*DEMO, "--folder", str(folder), "--json", "--quick"])
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    facts["left behind"] = living(folder)
    return facts


@pytest.fixture(scope="module")
def second(first: dict[str, Any], folder: Path) -> list[str]:
    """Give the lines that a second demo prints into a pipe, in the same folder."""
    done = run([*DEMO, "--folder", str(folder), "--quick"])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_run_ends_as_planned(first: dict[str, Any]) -> None:
    assert first["differs"] == []
    assert first["counts"] == PLAN
    assert {told["status"] == told["planned"] for told in first["runs"].values()} == {True}


def test_each_window_takes_its_effect_once(first: dict[str, Any]) -> None:
    # Given the runs by what ended their pause
    told = list(first["runs"].values())
    by_cause = {
        c: [t for t in told if c in t["pauses_ended_by"]] for c in ("window_expired", "manual")
    }
    # Then
    assert [t["restored"] for t in by_cause["window_expired"]] == [1, 1, 1]
    assert [t["restored"] for t in by_cause["manual"]] == [1]
    assert sum(t["restored"] for t in told) == 4


def test_what_a_killed_worker_had_in_hand_is_taken_over(first: dict[str, Any]) -> None:
    assert {name.rstrip("123") for name in first["killed"]} == {"restorer-", "worker-"}
    assert first["recovered"]
    assert all(first["runs"][run_id]["recovered"] == 1 for run_id in first["recovered"])


def test_no_process_is_left(first: dict[str, Any], folder: Path) -> None:
    assert first["left behind"] == []


def test_the_same_folder_takes_another_demo_with_new_runs(
    first: dict[str, Any], second: list[str]
) -> None:
    # Given
    old = set(first["runs"])
    # When
    new = {line.split()[0] for line in second if line.startswith("order-")}
    # Then
    assert len(old) == 16
    assert len(new) == 16
    assert not old & new


def test_a_pipe_gets_plain_lines_and_the_last_screen(second: list[str]) -> None:
    # Given
    text = "\n".join(second)
    # Then
    assert "\x1b" not in text
    assert "restorer-1 KILLED" in text
    assert "✔ 11 completed   ✖ 2 failed   ⊘ 2 aborted   ◐ 1 paused   of 16 runs" in text
    assert "░ waits ░" in text
    assert "██▓▓▓" in text  # neighbours can be told apart without colours
    assert "█✗" in text
    assert max(len(line) for line in second if "█" in line) <= 80


def test_the_commands_to_try_next_work(second: list[str], folder: Path) -> None:
    # Given
    lines = [line for line in second if line.startswith("  runstore ")]
    shows = {"runs": "completed", "timeline": "█", "resume": "shelf"}
    assert len(lines) == len(shows)
    for line in lines:
        # When
        words = shlex.split(line, comments=True)[1:]
        done = run([sys.executable, "-m", "replay", *words])
        # Then
        assert done.returncode == 0, done.stderr
        assert shows[words[0]] in done.stdout


def test_a_terminal_shows_the_runs_move(tmp_path: Path) -> None:
    # Given a terminal
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    shown: list[bytes] = []
    # When
    process = subprocess.Popen(
        [*DEMO, "--folder", str(tmp_path / "demo"), "--quick", "--runs", "8"],
        cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    reader = threading.Thread(target=_read_all, args=(ours, shown))
    reader.start()
    code = process.wait(ENDS_WITHIN_S)
    reader.join(ENDS_WITHIN_S)
    os.close(ours)
    # Then
    text = b"".join(shown).decode()
    assert code == 0, text
    assert text.count("runstore demo · 8 orders") > 10  # it was redrawn
    assert "\x1b[30;46m" in text or "\x1b[30;45m" in text  # pieces are coloured
    assert text.rindex("try next") > text.rindex("runstore demo ·")
    assert living(tmp_path / "demo") == []


def _read_all(terminal: int, into: list[bytes]) -> None:
    try:
        while chunk := os.read(terminal, 65_536):
            into.append(chunk)
    except OSError:  # how Linux says that the other side has closed
        return


def test_what_is_not_as_planned_is_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    # Given a variable that names a server, which a demo leaves alone
    environment = {**os.environ, "RUNSTORE_REDIS_URL": "redis://127.0.0.1:1/0"}
    # When an order that goes well was planned to fail
    words = ["--folder", str(tmp_path / "demo"), "--quick", "--json", "--runs", "1"]
    done = run([sys.executable, "-c", MISPLANNED, *words], env=environment)
    # Then
    assert done.returncode == 1
    assert json.loads(done.stdout)["differs"] == [
        "order-1 (small, nobody is asked): is completed, should be failed"
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    # Given a demo at work
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [*DEMO, "--folder", str(folder)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert any("order-" in line for line in process.stdout)
    assert len(living(folder)) > 5
    # When
    process.send_signal(number)
    process.communicate(timeout=ENDS_WITHIN_S)
    # Then
    assert process.returncode != 0
    eventually(lambda: not living(folder))


# Its parts


def test_the_first_eight_orders_hold_one_of_each_kind() -> None:
    # When
    stories = [order.story for order in make_orders(8, seed=1, pace=1)]
    # Then
    assert len(set(stories)) == 8
    assert {orders.RESTORED, orders.LATE, orders.PARKED, orders.TIMED_OUT} <= set(stories)


def test_the_same_seed_makes_the_same_orders() -> None:
    assert list(make_orders(16, 3, 1)) == list(make_orders(16, 3, 1))
    assert list(make_orders(16, 3, 1)) != list(make_orders(16, 4, 1))


def order(story: orders.Story) -> Order:
    return Order(story, "lamp", 700 if story.on_expiry else 70, pace=0.01)


async def place(store: EventStore, run_id: str, story: orders.Story) -> Any:
    created = NewEvent("run.created", {"input": order(story).input})
    await store.append(run_id, created)
    return (await store.load(run_id))[0]


@only_valkey
async def test_of_two_workers_with_one_run_the_fence_lets_one_through(store: EventStore) -> None:
    # Given
    event = await place(store, "order-1", orders.STRAIGHT)
    # When
    await asyncio.gather(
        worker.handle(store, "a", event), worker.handle(store, "b", event), return_exceptions=False
    )
    # Then
    events = await store.load("order-1")
    done = [e.data["node_id"] for e in events if e.type == "node.completed"]
    assert done == ["stock", "risk", "charge", "ship"]
    assert events[-1].type == "run.completed"


@only_valkey
async def test_a_worker_that_lost_its_run_writes_nothing_more(store: EventStore) -> None:
    # Given a worker in the middle of a run, and another that took it over
    event = await place(store, "order-1", orders.STRAIGHT)
    run = Execution(store, fold([event]), "slow")
    await run.append("run.started", {"worker": "slow"})
    await worker.handle(store, "quick", event)
    before = await store.load("order-1")
    # When
    with pytest.raises(Exception) as refused:
        await run.append("node.started", {"node_id": "stock"})
    # Then
    assert await store.load("order-1") == before
    assert "run.recovered" in [e.type for e in before]
    assert before[-1].type == "run.completed"
    assert refused.type.__name__ in ("WrongExpectedVersion", "RunClosed")


@only_valkey
async def test_a_late_copy_of_an_event_does_not_disturb_whoever_goes_on(store: EventStore) -> None:
    # Given a run that was paused and resumed
    created = await place(store, "order-1", orders.APPROVED)
    await worker.handle(store, "a", created)
    await RunControl(store).resume("order-1", {"approved": True})
    before = await store.load("order-1")
    # When the group hands out the first event once more
    await worker.handle(store, "b", created)
    # Then
    assert await store.load("order-1") == before
    # And the resume leads to the end
    await worker.handle(store, "a", before[-1])
    assert (await store.load("order-1"))[-1].type == "run.completed"


@only_valkey
async def test_a_paused_run_waits_for_its_resume(store: EventStore) -> None:
    # Given
    created = await place(store, "order-1", orders.APPROVED)
    await worker.handle(store, "a", created)
    before = await store.load("order-1")
    assert before[-1].type == "run.paused"
    # When
    await worker.handle(store, "b", created)
    # Then
    assert await store.load("order-1") == before


@only_valkey
async def test_a_card_that_is_always_refused_fails_the_run_after_three_attempts(
    store: EventStore,
) -> None:
    # Given
    created = await place(store, "order-1", orders.REFUSED)
    # When
    await worker.handle(store, "a", created)
    # Then
    state = fold(await store.load("order-1"))
    assert state.status == "failed"
    assert state.nodes["charge"].attempts == 3
    assert state.error == {"type": "CardRefused", "message": "the bank did not take the card"}


@pytest.fixture
def projected(sync_store: SyncEventStore, tmp_path: Path) -> Callable[..., list[str]]:
    """Give a function that checks one run, told in so many events, against a story."""

    def problems(story: orders.Story, *events: NewEvent) -> list[str]:
        sync_store.append("order-1", list(events))
        facts = Facts("", "")
        with (
            open_database(tmp_path / "runs.db") as database,
            Projector(sync_store, database) as projector,
        ):
            projector.run_to_end()
            check(facts, sync_store, database, {"order-1": order(story)})
        return [problem.rpartition(": ")[2] for problem in facts.differs]

    return problems


@only_valkey
def test_the_check_sees_a_read_side_that_stands_still(
    sync_store: SyncEventStore, tmp_path: Path
) -> None:
    # Given a run that nobody projects
    sync_store.append("order-1", [CREATED, COMPLETED])
    facts = Facts("", "")
    # When
    with open_database(tmp_path / "runs.db") as database:
        check(facts, sync_store, database, {"order-1": order(orders.STRAIGHT)}, within_s=0)
    # Then
    assert len(facts.differs) == 2
    assert "projector is behind" in facts.differs[0]
    assert facts.differs[1].endswith("the read side does not have it")


def node(name: str, **patch: Any) -> NewEvent:
    return NewEvent("node.completed", {"node_id": name, "patch": patch})


PAUSED = NewEvent(
    "run.paused",
    {"pause_id": "p", "state": {}, "window_ms": 0, "on_expiry": "restore"},
)
RESTORED = NewEvent("run.restored", {"pause_id": "p", "checkpoint_version": 2})
RESUMED = NewEvent("run.resumed", {"pause_id": "p", "cause": "window_expired"})
CREATED, COMPLETED = NewEvent("run.created"), NewEvent("run.completed")


@only_valkey
def test_the_check_is_content_with_what_was_planned(projected: Any) -> None:
    assert projected(orders.RESTORED, CREATED, PAUSED, RESTORED, RESUMED, COMPLETED) == []


@only_valkey
def test_the_check_sees_a_second_restore(projected: Any) -> None:
    assert projected(orders.RESTORED, CREATED, PAUSED, RESTORED, RESTORED, RESUMED, COMPLETED) == [
        "was restored 2 times, should be 1"
    ]


@only_valkey
def test_the_check_sees_a_pause_that_ended_otherwise(projected: Any) -> None:
    assert projected(orders.APPROVED, CREATED, PAUSED, RESUMED, COMPLETED) == [
        "its pause ended otherwise than by decision"
    ]


@only_valkey
def test_the_check_sees_a_node_done_twice(projected: Any) -> None:
    assert projected(orders.STRAIGHT, CREATED, node("ship"), node("ship"), COMPLETED) == [
        "node ship was done 2 times"
    ]


@only_valkey
def test_the_check_sees_a_context_that_got_lost(projected: Any) -> None:
    assert projected(
        orders.RESTORED, CREATED, node("risk", risk=0.7), PAUSED, RESTORED, RESUMED, COMPLETED
    ) == ["0.7}"]
