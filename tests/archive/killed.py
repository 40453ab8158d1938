"""Archives, or puts back, in processes that are killed at the first, the second, … step.

A step is a statement to SQLite or an exchange with the server. Run with what to do, the server's
URL and a folder; prints at how many steps it was killed until one run was clean.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archive.filing import archived, fill, opened
from eventstore import SyncEventStore
from eventstore.archive import Archive, verify
from eventstore.archive.recovery import lost, put_back
from eventstore.transport.lines import BlockingLine


def survives(action: Callable[[], object], kill_at: int) -> bool:
    """Do something in a child process that dies at its ``kill_at``-th step; 0 is never."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), f"the process ended with {status}"
        return status == 0
    steps = itertools.count(1)

    def count(*_: object) -> None:
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    connect, exchange = sqlite3.connect, BlockingLine.exchange

    def connect_counted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(count)
        return connection  # type: ignore[no-any-return]

    def exchange_counted(self: BlockingLine, *arguments: Any, **options: Any) -> Any:
        count()  # nothing was sent
        replies = exchange(self, *arguments, **options)
        count()  # it was done, and nobody was told
        return replies

    sqlite3.connect = connect_counted  # type: ignore[assignment]
    BlockingLine.exchange = exchange_counted  # type: ignore[method-assign]
    try:
        action()
    except BaseException as error:  # noqa: BLE001 - a child must not go on as the test
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def open_store(url: str) -> SyncEventStore:
    return SyncEventStore.open(url, namespace="runs", partitions=2)


def archive_killed(url: str, folder: Path) -> int:
    with open_store(url) as store:
        fill(store, runs=4, events=3)
    for kill_at in itertools.count(1):
        path = folder / str(kill_at)

        def archive(path: Path = path) -> None:
            with open_store(url) as store:
                archived(store, path, batch_events=5)

        survived = survives(archive, kill_at)
        assert survives(archive, 0), f"a kill at step {kill_at} left what cannot be opened"
        with open_store(url) as store, opened(store, path, read_only=True) as found:
            result = verify(found, store=store)
        assert (result.exit_code, result.events) == (0, 12), f"a kill at step {kill_at}: {result}"
        left = [file.name for file in folder.glob(f"{kill_at}.new*")]
        assert len(left) <= 3, left
        if survived:
            return kill_at
    raise AssertionError


def put_back_killed(url: str, folder: Path) -> int:
    import redis  # noqa: PLC0415 - a look past the store

    whole = folder / "whole.db"
    with open_store(url) as store:
        fill(store, runs=4, events=3)
        archived(store, whole)
        before = list(store.read_all())
    for kill_at in itertools.count(1):
        path = folder / f"{kill_at}.db"
        shutil.copy(whole, path)
        with redis.Redis.from_url(url) as admin:
            admin.flushall()

        def restore(path: Path = path) -> None:
            with open_store(url) as store, Archive.look(path, read_only=False) as archive:
                put_back(archive, store)

        survived = survives(restore, kill_at)
        assert survives(restore, 0), f"a kill at step {kill_at} left what cannot be put back"
        with open_store(url) as store, opened(store, path, read_only=True) as archive:
            assert lost(archive, store).events == 0, f"a kill at step {kill_at}"
            assert list(store.read_all()) == before, f"a kill at step {kill_at}"
            assert verify(archive, store=store).exit_code == 0
        if survived:
            return kill_at
    raise AssertionError


if __name__ == "__main__":
    what, url, folder = sys.argv[1:]
    kill = {"archive": archive_killed, "put-back": put_back_killed}[what]
    print(kill(url, Path(folder)))  # noqa: T201 - read by the test
