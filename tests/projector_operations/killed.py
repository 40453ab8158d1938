"""Does one thing to a database again and again, killed at the first, the second, … statement.

Run with a scenario and a folder. After each kill the rows must be wholly those of before or wholly
those of after, and a second run in peace must end with those of after. Prints at how many places it
was killed.
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
from typing import Any, ClassVar

from histories import EPOCH, ListLog
from shipments import Shipments

from eventstore.events import RecordedEvent
from eventstore.sqlite import Schema
from projections import Projector, Transaction, open_database, rebuild, rebuild_run
from projections.aside import aside_path
from projector_operations.samples import ALL, Skipping, a_log, change, rows, staged_tables

LOG = ListLog(a_log(2))


class Renewed(Shipments):
    version: ClassVar[int] = 2
    schema: ClassVar[str] = Shipments.schema + "CREATE TABLE more (amount INTEGER);"

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        super().apply(tx, event)
        if event.type == "order.shipped":
            tx.execute("INSERT INTO more VALUES (?)", (event.data["amount"],))


def prepare(path: Path) -> None:
    with open_database(path) as database, Projector(LOG, database, ALL) as projector:
        projector.run_to_end()


def spoil(path: Path) -> None:
    prepare(path)
    change(path, "DELETE FROM timeline", "UPDATE runs SET snapshot = '{}'", "DELETE FROM nodes")
    change(path, "UPDATE shipments SET amount = 99", "UPDATE event_types SET events = 99")


def make_anew(path: Path) -> None:
    with open_database(path) as database:
        rebuild(LOG, database, projections=ALL)


def make_run_anew(path: Path) -> None:
    with open_database(path) as database:
        rebuild_run(LOG, database, "run-1", ALL)


def spoil_run(path: Path) -> None:
    prepare(path)
    change(path, "DELETE FROM timeline WHERE run_id = 'run-1'")
    change(path, "UPDATE nodes SET label = 'x' WHERE run_id = 'run-1'")


def renew(path: Path) -> None:
    with open_database(path) as database, Projector(LOG, database, [Renewed]) as projector:
        projector.run_to_end()


def only_shipments(path: Path) -> None:
    with open_database(path) as database, Projector(LOG, database, [Shipments]) as projector:
        projector.run_to_end()


def skip(path: Path) -> None:
    Skipping.hated = {("run-1", 3), ("run-0", 9)}
    with open_database(path) as database:
        projector = Projector(LOG, database, [Skipping, Shipments], clock=lambda: EPOCH)
        with projector:
            projector.run_to_end()


def empty(path: Path) -> None:
    open_database(path).close()


Act = Callable[[Path], None]
SCENARIOS: dict[str, tuple[Act, Act, bool]] = {
    # how the database is before, what is done to it, and whether it is done in one step
    "rebuild": (spoil, make_anew, True),
    "rebuild-run": (spoil_run, make_run_anew, True),
    "renewal": (only_shipments, renew, True),
    "skipping": (empty, skip, False),
}


def count_statements(kill_at: int) -> None:
    """Die at the ``kill_at``-th statement from now on to any file.

    Not while tables are made that every database has: killed_at_first.py does that.
    """
    counted = itertools.count(1)
    counting = True
    connect, migrate = sqlite3.connect, Schema.migrate

    def count(_statement: str) -> None:
        if counting and next(counted) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect_counted(path: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(path, *arguments, **options)
        if str(path) != ":memory:":
            connection.set_trace_callback(count)
        return connection

    def migrate_uncounted(*arguments: Any) -> None:
        nonlocal counting
        counting = False
        migrate(*arguments)
        counting = True

    sqlite3.connect = connect_counted  # type: ignore[assignment]
    Schema.migrate = migrate_uncounted  # type: ignore[method-assign]


def survives(act: Act, path: Path, kill_at: int) -> bool:
    """Act in a child process that dies at its ``kill_at``-th statement; 0 is never."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    count_statements(kill_at)
    code = 1
    try:
        act(path)
        code = 0
    finally:
        os._exit(code)


def without_words(found: dict[str, Any]) -> dict[str, Any]:
    """Leave the tracebacks of skipped events out: their line numbers are those of the way taken."""
    found["dead_events"] = [(*row[:9], *row[10:]) for row in found["dead_events"]]
    return found


def main(scenario: str, folder: Path) -> int:
    prepare_it, act, in_one_step = SCENARIOS[scenario]
    start, end = folder / "start.db", folder / "end.db"
    prepare_it(start)
    before = without_words(rows(start))
    shutil.copy(start, end)
    assert survives(act, end, 0)
    after = without_words(rows(end))
    assert before != after
    for kill_at in itertools.count(1):
        path = folder / f"{kill_at}.db"
        shutil.copy(start, path)
        survived = survives(act, path, kill_at)
        left = without_words(rows(path))
        assert not in_one_step or left in (before, after), f"a mixture after a kill at {kill_at}"
        assert survives(act, path, 0), f"a kill at statement {kill_at} left what cannot be used"
        assert without_words(rows(path)) == after, f"a kill at statement {kill_at} changed the rows"
        assert not aside_path(path, "rebuild").exists()
        assert staged_tables(path) == [], f"a kill at statement {kill_at} left tables"
        path.unlink()
        if survived:
            return kill_at
    raise AssertionError


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2])))  # noqa: T201 - read by the test
