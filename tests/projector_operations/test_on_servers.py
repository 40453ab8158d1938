"""The projector on real stores: it follows, waits for a lost server, and survives SIGKILL."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from faults import eventually
from histories import EPOCH, dump
from servers import AnyServer, Server
from shipments import shipped

from eventstore import Settings, SyncEventStore
from eventstore.errors import (
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.events import NewEvent
from projections import (
    Database,
    Projector,
    Runs,
    Timeline,
    open_database,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "runs.db") as opened:
        yield opened


def one_run(number: int) -> list[NewEvent]:
    at = EPOCH + timedelta(minutes=number)
    pause = {"pause_id": "p", "state": {"n": number}, "window_ms": None, "on_expiry": "park"}
    return [
        NewEvent("run.created", {"input": number}, workflow_id="w", occurred_at=at),
        NewEvent("node.started", {"node_id": "n"}, occurred_at=at),
        NewEvent("run.paused", pause, occurred_at=at),
        NewEvent("run.resumed", {"pause_id": "p", "cause": "manual"}, occurred_at=at),
    ]


def test_a_stores_log_is_projected_and_waited_for(
    sync_store: SyncEventStore, database: Database
) -> None:
    # given a projector that follows the store
    stop = threading.Event()
    with Projector(sync_store, database, block_ms=50) as projector:
        thread = threading.Thread(target=projector.run, args=(stop,))
        thread.start()
        # when something is appended and waited for
        results = [sync_store.append(f"run-{n}", one_run(n)) for n in range(20)]
        for result in results:
            Runs(database).wait_for(result)
        # then it is there
        assert Runs(database).counts_by_status() == {"running": 20}
        eventually(lambda: not any(status.lag_events for status in projector.status()))
        stop.set()
        thread.join()


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_another_namespace_is_another_store(
    sync_store: SyncEventStore, server: AnyServer, namespace: str, database: Database
) -> None:
    with Projector(sync_store, database) as projector:
        projector.run_to_end()
    with (
        SyncEventStore.open(server.url, namespace=f"{namespace}-b") as other,
        Projector(other, database) as projector,
        pytest.raises(StoreMismatch, match="this database was made from store"),
    ):
        projector.run_to_end()


def test_it_waits_for_a_server_that_is_away_and_goes_on(
    launch: Callable[..., Server], database: Database
) -> None:
    # given a projector that follows a store
    server = launch("valkey")
    stop = threading.Event()
    hasty = Settings(append_timeout_ms=200, connect_timeout_ms=200, reply_timeout_ms=200)
    with (
        SyncEventStore.open(server.url, settings=hasty) as store,
        Projector(store, database, block_ms=50, retry_pause_ms=10) as projector,
        ThreadPoolExecutor() as threads,
    ):
        following = threads.submit(projector.run, stop)
        Runs(database).wait_for(store.append("before", one_run(1)))
        # when the server dies, is missed, and comes back
        server.kill()
        with pytest.raises(StoreUnavailable):
            store.tails()
        assert not following.done()
        server.start()
        # then the projector goes on by itself
        Runs(database).wait_for(store.append("after", one_run(2)), timeout=timedelta(seconds=20))
        stop.set()
        assert following.result() == 8
    assert Timeline(database).counts_by_type()["run.created"] == 2


FOLLOW = """
import sys
from eventstore import SyncEventStore
from projections import Projector, open_database

with (
    SyncEventStore.open(sys.argv[1], namespace=sys.argv[2]) as store,
    open_database(sys.argv[3]) as database,
    Projector(store, database, batch_events=100) as projector,
):
    projector.run_to_end(lambda done: print(done, flush=True))
"""


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_killed_anywhere_it_ends_with_the_rows_of_one_that_was_not(
    sync_store: SyncEventStore, server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    # given a log of some thirty batches
    for number in range(400):
        sync_store.append(f"run-{number}", one_run(number))
        sync_store.append(f"run-{number}", [shipped("a", 1)] * (number % 9 + 1))
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    # when the projector is killed again and again, a few batches further each time
    chance = random.Random(5)
    kills = 0
    while not ends_by_itself([server.url, namespace, str(killed)], chance.randrange(1, 8)):
        kills += 1
    # then its rows are those of one that was never killed
    assert kills > 2
    with open_database(whole) as database, Projector(sync_store, database) as projector:
        projector.run_to_end()
    assert dump(killed) == dump(whole)


def ends_by_itself(arguments: list[str], after_batches: int) -> bool:
    """Follow in a process of its own, and kill that after so many batches, in the middle."""
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, *arguments], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        for _ in range(after_batches):
            if not process.stdout.readline():
                assert process.wait() == 0
                return True
        process.send_signal(signal.SIGKILL)
        return process.wait() == 0
