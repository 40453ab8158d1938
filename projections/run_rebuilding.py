"""Rebuilds the rows of one run."""

from __future__ import annotations

from collections.abc import Iterable

from projections.built_in import BUILT_IN
from projections.database import Database, Transaction
from projections.feed import WRITER_PATIENCE_MS
from projections.log import RunLog
from projections.objects import quoted
from projections.projection import Projection
from projections.rebuilding import chosen
from projections.scratch import scratch, take
from projections.standing import load_standings
from projections.verifying import events_of, rows_of_run, up_to


def rebuild_run(
    store: RunLog,
    database: Database,
    run_id: str,
    projections: Iterable[type[Projection] | Projection] = BUILT_IN,
) -> dict[str, int]:
    """Make one run's rows anew from its events, in one transaction; give how many there are.

    Those are the rows of the tables that belong to runs (``Projection.run_tables``), by table;
    what is summed over runs is left alone. Rows of projections that the database lacks, or that
    another version made, are left alone too. Readers and a projector may go on meanwhile.
    """
    written: dict[str, int] = {}
    with database.transaction(patience_ms=WRITER_PATIENCE_MS) as tx:
        standings = load_standings(tx)
        events = events_of(store, run_id)
        for projection in chosen(projections, ()):
            standing = standings.get(projection.name)
            if standing and standing.version == projection.version:
                with scratch(projection) as rebuilt:
                    take(rebuilt, projection.fresh(), up_to(events, standing.positions))
                    written |= _replace(tx, rebuilt, projection, run_id)
    return written


def _replace(
    tx: Transaction, rebuilt: Transaction, projection: Projection, run_id: str
) -> dict[str, int]:
    written = {}
    for table in projection.run_tables:
        rows = rows_of_run(rebuilt, table, run_id)
        tx.execute(f"DELETE FROM {quoted(table)} WHERE run_id = ?", (run_id,))
        if rows:
            places = ", ".join("?" * len(rows[0]))
            tx.executemany(f"INSERT INTO {quoted(table)} VALUES ({places})", rows)
        written[table] = len(rows)
    # Whoever keeps states in memory reads them again.
    tx.execute("UPDATE projections SET revision = revision + 1 WHERE name = ?", (projection.name,))
    return written
