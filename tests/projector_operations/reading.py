"""Reads a database again and again, as an application does, and checks what it sees.

Run with its path and a number. Prints ``ready``, then ``enough`` when it has made so many queries;
when its input ends, it prints how many it made, and fails if one of them failed or saw rows of two
rebuilds at once.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import ClassVar

from histories import ListLog

from eventstore.events import RecordedEvent
from projections import BUILT_IN, Database, Projection, Runs, Timeline, Transaction, open_database
from projector_operations.samples import a_log

RUNS = 50
LOG = ListLog(a_log(RUNS))
EVENTS = len(LOG.events)


class Marked(Projection):
    """Rows that say which rebuild made them, in two tables."""

    name: ClassVar[str] = "marked"
    version: ClassVar[int] = 1
    schema: ClassVar[str] = """
        CREATE TABLE left_marks (run_id TEXT, version INTEGER, mark INTEGER,
                                 PRIMARY KEY (run_id, version));
        CREATE INDEX left_marks_by_mark ON left_marks (mark);
        CREATE TABLE right_marks (run_id TEXT, version INTEGER, mark INTEGER,
                                  PRIMARY KEY (run_id, version));
    """
    mark: ClassVar[int] = 0

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        row = (event.run_id, event.version, self.mark)
        tx.execute("INSERT INTO left_marks VALUES (?, ?, ?)", row)
        tx.execute("INSERT INTO right_marks VALUES (?, ?, ?)", row)


PROJECTIONS = (*BUILT_IN, Marked)


def look(database: Database, number: int) -> int:
    """Ask once, and give how many queries that took."""
    with database.snapshot() as tx:
        left = tx.execute("SELECT mark, count(*) FROM left_marks GROUP BY mark")
        right = tx.execute("SELECT mark, count(*) FROM right_marks GROUP BY mark")
    assert left == right, (left, right)
    assert [count for _, count in left] == [EVENTS], left
    run_id = f"run-{number % RUNS}"
    run = Runs(database).get_run(run_id)
    assert (run.status, run.version) == ("completed", 10), run
    assert len(Timeline(database).timeline(run_id).items) == 10
    assert Runs(database).counts_by_status() == {"completed": RUNS}
    return 5


def main(path: Path, wanted: int) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    queries = 0
    with open_database(path, read_only=True) as database:
        print("ready", flush=True)  # noqa: T201 - read by the test
        while not stop.is_set():
            queries += (made := look(database, queries))
            if queries - made < wanted <= queries:
                print("enough", flush=True)  # noqa: T201 - the same
    print(queries, flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
