"""The file that keeps every event for good, as its readers see it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from eventstore.appends import AppendResult
from eventstore.archive.binding import Binding, make_archive
from eventstore.archive.entry import SELECT_EVENTS, Entry
from eventstore.archive.layout import PARTITION_PLACES, SCHEMA, place_of, position_at
from eventstore.archive.reached import load_reached
from eventstore.clock import Clock, system_clock
from eventstore.decoding import Decoder
from eventstore.errors import StoreMismatch
from eventstore.events import Position, RecordedEvent
from eventstore.sqlite import LAYOUT, Database, Transaction

_LOG_PAGE = f"{SELECT_EVENTS} WHERE e.place > ? AND e.place <= ? ORDER BY e.place LIMIT ?"
_RUN_PAGE = f"""
{SELECT_EVENTS} WHERE e.run = (SELECT id FROM runs WHERE run_id = ?)
AND e.version > ? AND e.version < ? ORDER BY e.version
"""
_RUN_HEAD = "SELECT version, state, workflow_id FROM runs WHERE run_id = ?"
_APPEND = """
SELECT version, place, ms FROM events
WHERE run = (SELECT id FROM runs WHERE run_id = ?) AND append_id = ? ORDER BY version
"""
_COLD = """
SELECT run_id, version, state = 'deleted' FROM runs
WHERE (state <> 'open' OR is_expired) AND NOT is_dropped AND run_id > ? ORDER BY run_id LIMIT ?
"""
_DROPPED = "UPDATE runs SET is_dropped = 1 WHERE run_id = ? AND version = ?"
_FIRST_NOT_BEFORE = "SELECT place, ms FROM events WHERE place >= ? AND place < ? LIMIT 1"
_BEYOND = 2**62


class ColdRun(NamedTuple):
    """A run whose run stream can go: it has ended, or it is parked with its window expired."""

    run_id: str
    version: int
    """The last one that is archived."""
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """What a run's archived events say of it; its head in Redis may be further."""

    run_id: str
    version: int
    closed: bool
    deleted: bool
    workflow_id: str | None


class Archive:
    """Every archived event of one store. Any thread may use it; many processes may read it.

    Only the ``Archiver`` adds events. What ``reached`` says is on the disk.
    """

    def __init__(self, database: Database, binding: Binding, decoder: Decoder) -> None:
        self.database = database
        self.binding = binding
        self._decoder = decoder
        database.on_other_file = self._check_other

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        identity: str,
        namespace: str,
        partitions: int,
        decoder: Decoder | None = None,
        read_only: bool = False,
        clock: Clock = system_clock,
    ) -> Archive:
        """Open the archive of a store; a new one is made unless ``read_only``.

        ``identity`` is the store's, ``decoder`` what lifts older payloads. Raises
        ``StoreMismatch`` for a file that is no archive, a damaged one, one of another namespace,
        store or number of partitions, or of newer code; ``ServerRefused`` where it is missing,
        or folder, disk or rights do not allow it.
        """
        place = Path(path).absolute()
        binding = Binding(identity, namespace, partitions)
        if not read_only and not place.exists():
            make_archive(place, binding, clock)
        archive = cls.look(place, decoder=decoder, read_only=read_only)
        try:
            binding.check(archive.database)
        except BaseException:
            archive.close()
            raise
        return archive

    @classmethod
    def look(
        cls,
        path: str | os.PathLike[str],
        *,
        decoder: Decoder | None = None,
        read_only: bool = True,
    ) -> Archive:
        """Open an archive whichever store it belongs to: ``binding`` says. Raises as ``open``."""
        database = Database(Path(path).absolute(), SCHEMA, read_only=read_only)
        try:
            with database.snapshot() as tx:
                SCHEMA.check_layout(tx.execute(LAYOUT), database.path)
            return cls(database, Binding.read(database), decoder or Decoder())
        except BaseException:
            database.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self.database.path

    def reached(self) -> dict[int, Position]:
        """Give how far each partition's log is archived; ``n`` is 0 where nothing is."""
        with self.database.snapshot() as tx:
            return load_reached(tx, self.binding.partitions)

    def log_page(
        self, after: Position, limit: int, up_to_n: int | None = None
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events of a partition after a position, in order, without a hole.

        A position with ``ms`` and with ``n`` 0 is a time: from there on. Raises ``CorruptEvent``.
        """
        if after.ms and not after.n:
            after = self.before(after) or Position(after.partition, 0, 0)
        first = after.n + 1
        last = PARTITION_PLACES - 1 if up_to_n is None else up_to_n
        places = (place_of(after), place_of(after._replace(n=last)), limit)
        entries = self._entries(_LOG_PAGE, places)
        fitting = [e for n, e in enumerate(entries, first) if e.position.n == n]
        return [entry.recorded(self._decoder) for entry in fitting]

    def run_page(
        self, run_id: str, after: int, before: int | None, limit: int, *, backwards: bool = False
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events of a run with versions between the two, both left out.

        Raises ``CorruptEvent``.
        """
        bounds = (run_id, after, _BEYOND if before is None else before, limit)
        page = f"{_RUN_PAGE} {'DESC' if backwards else 'ASC'} LIMIT ?"
        return [entry.recorded(self._decoder) for entry in self._entries(page, bounds)]

    def run_head(self, run_id: str) -> ArchivedRun | None:
        """Give what is archived of a run; None if nothing is."""
        with self.database.snapshot() as tx:
            rows = tx.execute(_RUN_HEAD, (run_id,))
        if not rows:
            return None
        version, state, workflow_id = rows[0]
        return ArchivedRun(run_id, version, state != "open", state == "deleted", workflow_id)

    def find_append(self, run_id: str, append_id: str) -> AppendResult | None:
        """Give the result of an append whose events are archived; None if none of them is."""
        with self.database.snapshot() as tx:
            rows = tx.execute(_APPEND, (run_id, append_id))
        if not rows:
            return None
        positions = tuple(position_at(place, ms) for _, place, ms in rows)
        return AppendResult(run_id, rows[0][0], rows[-1][0], positions, deduplicated=True)

    def before(self, at: Position) -> Position | None:
        """Give the last archived entry of a partition before the millisecond of a position."""
        low, high = 0, self.reached()[at.partition].n
        found = None
        with self.database.snapshot() as tx:
            while low < high:  # times never fall as n rises
                middle = (low + high + 1) // 2
                position = _entry_at(tx, at._replace(n=middle))
                if position is not None and position.ms < at.ms:
                    low, found = middle, position
                else:
                    high = middle - 1
        return found

    def cold_runs(self, limit: int, after: str = "") -> list[ColdRun]:
        """Give up to ``limit`` runs whose run streams can go, by run id, after one.

        Those that have ended, and paused ones whose window expired and that were not restored or
        resumed since; with the version up to which they are archived.
        """
        with self.database.snapshot() as tx:
            return [ColdRun(*row) for row in tx.execute(_COLD, (after, limit))]

    def forget_cold(self, runs: Iterable[ColdRun]) -> None:
        """Note that run streams were dropped: ``cold_runs`` names them no more.

        A run of which more was archived since has a stream again: it is named once more.
        """
        with self.database.transaction() as tx:
            tx.executemany(_DROPPED, ((run.run_id, run.version) for run in runs))

    def _check_other(self, tx: Transaction) -> None:
        """Refuse a file in the place of this one unless it is an archive of the same store."""
        SCHEMA.check_layout(tx.execute(LAYOUT), self.path)
        if Binding.within(tx, self.path) != self.binding:
            raise StoreMismatch(
                f"the archive of another store has taken the place of {self.path} while it was "
                "open; put the right one back",
                path=str(self.path),
            )

    def _entries(self, statement: str, bounds: tuple[object, ...]) -> list[Entry]:
        with self.database.snapshot() as tx:
            return [Entry.of_row(row) for row in tx.execute(statement, bounds)]

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Archive({str(self.path)!r})"


def _entry_at(tx: Transaction, at: Position) -> Position | None:
    end = place_of(Position(at.partition + 1, 0, 0))
    rows = tx.execute(_FIRST_NOT_BEFORE, (place_of(at), end))
    return position_at(*rows[0]) if rows else None
