"""The example service does its work, and ends in good order when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import eventually
from group_samples import pending
from samples import ended, notes
from servers import Server

from eventstore import NewEvent, SyncEventStore
from eventstore.groups.parking import SyncParked

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def service(url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(PROJECT / "examples" / "service.py")],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "RUNSTORE_REDIS_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_service_tells_the_ends_and_stops_when_told(
    launch: Callable[..., Server], how: signal.Signals
) -> None:
    server = launch("valkey")
    with SyncEventStore.open(server.url) as store, service(server.url) as process:
        assert process.stdout
        assert process.stderr
        # given ends from before and after its start
        for run_id, kind in (("first", "run.completed"), ("second", "run.failed")):
            store.append(run_id, [*notes(3), ended(kind)])
            assert process.stdout.readline().startswith(f"{run_id}: {kind}")
        # when
        process.send_signal(how)
        # then
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == "told 2\n"
        joined, left = process.stderr.read().splitlines()
        assert " joined, at " in joined
        assert " left: " in left
        assert server.admin.zcard("runs:members:teller") == 0


def test_an_order_is_thanked_for_and_a_strange_one_is_set_aside(
    launch: Callable[..., Server],
) -> None:
    server = launch("valkey")
    with SyncEventStore.open(server.url) as store, service(server.url) as process:
        assert process.stdout
        for run_id, data in (("strange", {"amount": "much"}), ("good", {"amount": 990})):
            store.append(run_id, NewEvent("order.paid", data, workflow_id="orders"))
        assert process.stdout.readline() == "good: thanks for 990 EUR\n"
        parked = SyncParked(store, "teller")
        eventually(lambda: [run.run_id for run in parked.list().items] == ["strange"])


def test_a_killed_service_goes_on_at_its_next_start(launch: Callable[..., Server]) -> None:
    server = launch("valkey")
    with SyncEventStore.open(server.url) as store:
        for run_id in ("first", "second"):
            store.append(run_id, ended())
            with service(server.url) as process:
                assert process.stdout
                assert process.stdout.readline().startswith(f"{run_id}: run.completed")
                # Killed sooner, it would be told again: every event comes at least once.
                eventually(lambda: not pending(store, server.admin, "teller"))
