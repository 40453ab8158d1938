"""``main`` makes a whole program of a service: it ends in good order and tells its errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from samples import noted
from servers import Server

from eventstore import SyncEventStore

PROJECT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys, threading, time
from eventstore import RecordedEvent, Service

service = Service("s", create="create" in sys.argv, member="m")

@service.on("note.taken")
def note(event: RecordedEvent) -> None:
    print("begun", flush=True)
    if event.data["text"] == "for ever":
        threading.Event().wait()
    if event.data["text"] == "slow":
        sys.stdin.readline()
    print("done", flush=True)

service.main()
print("ended", flush=True)
"""


@contextmanager
def program(
    url: str, *words: str, code: str = PROGRAM, append_timeout_ms: int = 15_000
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *words],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "RUNSTORE_REDIS_URL": url,
            "RUNSTORE_APPEND_TIMEOUT_MS": str(append_timeout_ms),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().rstrip()


@pytest.fixture
def valkey(launch: Callable[..., Server]) -> Server:
    return launch("valkey")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_handler_finish(valkey: Server, how: signal.Signals) -> None:
    with SyncEventStore.open(valkey.url) as store, program(valkey.url, "create") as process:
        # given a handler at work
        position = store.append("run", noted("slow")).positions[0]
        assert said(process) == "begun"
        # when
        process.send_signal(how)
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        # then
        assert [said(process), said(process)] == ["done", "ended"]
        joined, left = ended_with(process)[2].splitlines()
        assert process.returncode == 0
        assert (
            f"<ConsumerGroup 's', member 'm'> joined, at <EventStore 'runs' at {valkey.url}"
            in joined
        )
        assert "<ConsumerGroup 's', member 'm'> left: Counts(handled=1, " in left
        log = store.operations.keys.log(position.partition)
        assert valkey.admin.xpending(log, "s")["pending"] == 0


def test_a_second_signal_ends_it_at_once(valkey: Server) -> None:
    with SyncEventStore.open(valkey.url) as store, program(valkey.url, "create") as process:
        position = store.append("run", noted("for ever")).positions[0]
        assert said(process) == "begun"

        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)

        assert process.wait(20) != 0
        log = store.operations.keys.log(position.partition)
        assert valkey.admin.xpending(log, "s")["pending"] == 1


def ended_with(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=30)
    return process.returncode, out, errors


def test_a_group_that_is_not_there_is_one_line_and_exit_code_2(valkey: Server) -> None:
    with program(valkey.url) as process:
        code, out, errors = ended_with(process)
    assert (code, out) == (2, "")
    assert errors.startswith("s: no consumer group 's'")
    assert errors.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with program(f"unix://{tmp_path}/none", append_timeout_ms=50) as process:
        code, out, errors = ended_with(process)
    assert (code, out) == (2, "")
    assert errors.startswith("s: ")
    assert errors.count("\n") == 1


def test_a_store_may_be_given(valkey: Server) -> None:
    code = PROGRAM.replace("import Rec", "import EventStore, Rec").replace(
        "main()", f"main(EventStore.open({valkey.url!r}, namespace='other'))"
    )
    with (
        SyncEventStore.open(valkey.url, namespace="other") as store,
        program("redis://nowhere.invalid", "create", code=code) as process,
    ):
        store.append("run", noted())
        lines: list[Any] = [said(process), said(process)]
    assert lines == ["begun", "done"]
