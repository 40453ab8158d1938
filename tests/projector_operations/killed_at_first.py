"""Projects a small log again and again, killed at the first, the second, … statement to SQLite.

Run with a folder to work in. Prints at how many places it was killed; fails if the rows, after a
second run in peace, ever differ from those of one that was never killed.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
from pathlib import Path

from histories import dump, placed, project, record
from shipments import EPOCH, Shipments, shipped

from eventstore.events import NewEvent, RecordedEvent
from projections import BUILT_IN


def small_log() -> list[RecordedEvent]:
    pause = {"pause_id": "p", "state": {"a": 1}, "window_ms": 5, "on_expiry": "park"}
    run = [
        NewEvent("run.created", {"labels": {"team": "x"}}, occurred_at=EPOCH),
        NewEvent("node.started", {"node_id": "n"}, occurred_at=EPOCH),
        NewEvent("run.paused", pause, occurred_at=EPOCH),
        NewEvent("run.resumed", {"pause_id": "p", "cause": "manual"}, occurred_at=EPOCH),
        shipped("a", 1),
    ]
    return placed([*record("r", run), *record("s", run)])


LOG = small_log()


def survives(path: Path, kill_at: int) -> bool:
    """Project in a child process that dies at its ``kill_at``-th statement; 0 is never."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    statements = itertools.count(1)

    def count(_statement: str) -> None:
        if next(statements) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def connect_counted(*arguments: object, **options: object) -> sqlite3.Connection:
        connection = connect(*arguments, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(count)
        return connection  # type: ignore[no-any-return]

    sqlite3.connect = connect_counted
    project(path, LOG, [*BUILT_IN, Shipments], batch_events=4)
    os._exit(0)


def main(folder: Path) -> int:
    assert survives(folder / "whole.db", 0)
    expected = dump(folder / "whole.db")
    for kill_at in itertools.count(1):
        path = folder / f"{kill_at}.db"
        survived = survives(path, kill_at)
        assert survives(path, 0), f"a kill at statement {kill_at} left what cannot be opened"
        assert dump(path) == expected, f"a kill at statement {kill_at} changed the rows"
        if survived:
            return kill_at
    raise AssertionError


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))  # noqa: T201 - read by the test
