"""Proves that live rows are what the events make of them: makes them anew, and compares."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from eventstore.errors import RunNotFound, StoreMismatch
from eventstore.events import RecordedEvent
from eventstore.sqlite.connections import open_reader
from eventstore.sqlite.errors import translated
from projections.aside import Aside
from projections.bounded_log import BoundedLog
from projections.built_in import BUILT_IN
from projections.comparing import Difference, Shape, attached_differences
from projections.database import SCHEMA, Database, Transaction
from projections.log import Log, RunLog
from projections.objects import quoted, tables_of
from projections.positions import Reached
from projections.projection import Projection
from projections.rebuilding import OnProgress, RebuildProgress, chosen
from projections.scratch import scratch, take
from projections.staging import attach
from projections.standing import check_known, load_standings

DEFAULT_MAX_DIFFERENCES = 1_000
_BUSY_MS = 5_000
_FILE = "(file)"


@dataclass(slots=True)
class Verified:
    """What a verification found: the first ``differences``, and how many there are in all."""

    projections: list[str] = field(default_factory=list)
    events: int = 0
    runs: int | None = None
    found: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, differences: Iterable[Difference], at_most: int) -> None:
        """Count differences, and keep the first of them."""
        for difference in differences:
            self.found += 1
            if len(self.differences) < at_most:
                self.differences.append(difference)


def verify(
    store: Log,
    database: Database,
    names: Collection[str] = (),
    projections: Iterable[type[Projection] | Projection] = BUILT_IN,
    *,
    max_differences: int = DEFAULT_MAX_DIFFERENCES,
    on_progress: OnProgress | None = None,
) -> Verified:
    """Make the rows of the named projections, or of all, anew and compare them with the live ones.

    Every row of every table is compared, at the very events that the live rows have taken in, in
    a file beside the database (``<database>.verify``) that is removed at the end. Projector and
    readers may go on meanwhile. The file itself is checked too: what is damaged in it counts as a
    difference in the table ``(file)``. Raises ``InvalidArgument`` for a name that is not among
    ``projections``, ``StoreMismatch`` for rows that another version made.
    """
    verified = Verified()
    verified.add(_damage(database), max_differences)
    for projection in chosen(projections, names):
        verified.projections.append(projection.name)
        log = BoundedLog(store, _reached(database, projection))
        aside = Aside(log, database, [projection], "verify", anew=True)
        try:
            _read(aside, log, on_progress)
            verified.add(_differences(database, aside, log, projection), max_differences)
            verified.events += aside.events
        finally:
            aside.discard()
    return verified


def verify_sample(
    store: RunLog,
    database: Database,
    runs: int,
    names: Collection[str] = (),
    projections: Iterable[type[Projection] | Projection] = BUILT_IN,
    *,
    seed: int | None = None,
    max_differences: int = DEFAULT_MAX_DIFFERENCES,
) -> Verified:
    """Compare the rows of so many runs, drawn by chance (or by ``seed``).

    Only tables whose rows each belong to one run are compared (``Projection.run_tables``), and a
    run that no live table knows is not drawn. Raises as ``verify`` does.
    """
    wanted = [one for one in chosen(projections, names) if one.run_tables]
    verified = Verified([projection.name for projection in wanted], runs=0)
    chance = random.Random(seed)  # noqa: S311 - a sample keeps no secret
    known = sorted(_run_ids(database, wanted))
    for run_id in chance.sample(known, min(runs, len(known))):
        events = events_of(store, run_id)
        verified.runs = (verified.runs or 0) + 1
        verified.events += len(events)
        for projection in wanted:
            found = _run_differences(database, projection, run_id, events)
            verified.add(found, max_differences)
    return verified


def events_of(store: RunLog, run_id: str) -> list[RecordedEvent]:
    """Give a run's events; none, where the store has no such run."""
    try:
        return store.load(run_id)
    except RunNotFound:
        return []


def up_to(events: Iterable[RecordedEvent], reached: Reached) -> list[RecordedEvent]:
    """Leave out what a projection has not taken in yet."""
    return [
        event
        for event in events
        if (end := reached.get(event.position.partition)) and event.position.n <= end.n
    ]


def rows_of_run(tx: Transaction, table: str, run_id: str) -> list[tuple[object, ...]]:
    """Give a run's rows of a table."""
    return tx.execute(f"SELECT * FROM {quoted(table)} WHERE run_id = ?", (run_id,))


def _read(aside: Aside, log: BoundedLog, on_progress: OnProgress | None) -> None:
    total = sum(place.n for place in log.until.values())
    while aside.step():
        if on_progress:
            on_progress(RebuildProgress(aside.events, total, None, None))


def _differences(
    database: Database, aside: Aside, log: BoundedLog, projection: Projection
) -> Iterator[Difference]:
    """Compare in one snapshot of the live rows, after reading on to where that one is."""
    with (
        closing(open_reader(database.path, SCHEMA, _BUSY_MS)) as connection,
        translated(database.path, SCHEMA),
    ):
        connection.execute("BEGIN")
        tx = Transaction(connection, database.path, SCHEMA)
        log.until = load_standings(tx)[projection.name].positions
        while aside.step():
            pass
        attach(connection, aside.path)
        for table in tables_of(projection):
            yield from attached_differences(tx, table)


def _run_differences(
    database: Database, projection: Projection, run_id: str, events: list[RecordedEvent]
) -> Iterator[Difference]:
    with database.snapshot() as live, scratch(projection) as rebuilt:
        standing = load_standings(live)[projection.name]
        take(rebuilt, projection.fresh(), up_to(events, standing.positions))
        for table in projection.run_tables:
            shape = Shape.of(rebuilt, table)
            sides = [
                {repr(shape.key_of(row)): row for row in rows_of_run(tx, table, run_id)}
                for tx in (live, rebuilt)
            ]
            for key in sorted({*sides[0], *sides[1]}):
                yield from shape.differences(table, sides[0].get(key), sides[1].get(key))


def _damage(database: Database) -> Iterator[Difference]:
    """Let SQLite check the file; what it says is wrong in it, line by line."""
    with database.snapshot() as tx:
        try:
            lines = [line for (line,) in tx.execute("PRAGMA integrity_check")]
        except StoreMismatch as damaged:
            lines = [str(damaged)]
    return (Difference(_FILE, {}, None, line, None) for line in lines if line != "ok")


def _reached(database: Database, projection: Projection) -> Reached:
    with database.snapshot() as tx:
        check_known(tx, projection.name)
        standing = load_standings(tx)[projection.name]
    if standing.version != projection.version:
        raise StoreMismatch(
            f"the rows of {projection.name!r} were made by version {standing.version} of it, this "
            f"code has {projection.version}; run the projector, which makes them anew",
            projection=projection.name,
            found=standing.version,
            expected=projection.version,
        )
    return standing.positions


def _run_ids(database: Database, projections: Iterable[Projection]) -> set[str]:
    for projection in projections:
        _reached(database, projection)
    with database.snapshot() as tx:
        return {
            run_id
            for projection in projections
            for (run_id,) in tx.execute(
                f"SELECT DISTINCT run_id FROM {quoted(projection.run_tables[0])}"
            )
        }
