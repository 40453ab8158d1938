"""Looks for what Redis, the archive and the files beside it hold of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import orjson

from eventstore import SyncEventStore
from eventstore.archive import Archive
from eventstore.archive.commands import entries_as_is
from eventstore.archive.erasing import Deletion, content_left
from eventstore.commands import Command
from eventstore.events import DELETED, ERASED, Position
from eventstore.plan import single
from eventstore.retention.commands import group_names
from projections import Database
from replay.timetravel import SnapshotFile

T = TypeVar("T")

PAGE_EVENTS = 500
_TABLES = """
SELECT m.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c
WHERE m.type = 'table' AND c.name = 'run_id' AND m.name <> 'deleted_runs'
"""
MAX_FORKS = 100
_FORKS = """
SELECT r.run_id FROM runs AS r JOIN timeline AS t ON t.run_id = r.run_id AND t.version = 1
WHERE r.parent = ? AND json_extract(t.data, '$.parent_version') IS NOT NULL
ORDER BY r.run_id LIMIT ?
"""
_KEPT_FIELDS = {b"v", b"s"}
"""What stays in the head of a deleted run."""


@dataclass(slots=True)
class Places:
    """Where content of runs may be; a log is read once, however many runs are asked for."""

    store: SyncEventStore
    archive: Archive | None
    database: Database | None
    snapshots: SnapshotFile | None
    _logs: dict[int, Counter[str]] = field(default_factory=dict)

    def in_stream(self, run_id: str) -> int:
        """Count the events in the run's own stream."""
        return self._ask(Command(("XLEN", self.store.operations.keys.run(run_id)), int))

    def in_head(self, run_id: str) -> int:
        """Count what its head holds beside version and state: names, idempotency keys, timers."""
        keys = self.store.operations.keys
        fields = self._ask(Command(("HKEYS", keys.head(run_id)), set))
        return len(fields - _KEPT_FIELDS)

    def in_log(self, run_id: str) -> int:
        """Count the events with content in the log; a deletion has none."""
        partition = self.store.operations.keys.partition_of(run_id)
        if partition not in self._logs:
            self._logs[partition] = self._read_log(partition)
        return self._logs[partition][run_id]

    def in_errors(self, run_id: str) -> int:
        """Count the groups that set the run aside and keep what an error told."""
        from eventstore.groups.parking import queries  # noqa: PLC0415 - groups are heavy

        keys = self.store.operations.keys
        groups = self._ask(group_names(keys))
        parked = [self._ask(queries.one(keys, group, run_id)) for group in groups]
        told = (p.failure.message or p.failure.traceback or p.workflow_id for p in parked if p)
        return sum(map(bool, told))

    def in_archive(self, deletion: Deletion) -> int:
        """Count the archived events with content."""
        if self.archive is None:
            return 0
        with self.archive.database.snapshot() as tx:
            return content_left(tx, *deletion)

    def in_database(self, run_id: str) -> int:
        """Count the rows that name the run, in all tables with a column ``run_id``."""
        if self.database is None:
            return 0
        with self.database.snapshot() as tx:
            tables = [name for (name,) in tx.execute(_TABLES)]
            counts = [
                tx.execute(f'SELECT count(*) FROM "{name}" WHERE run_id = ?', (run_id,))[0][0]
                for name in tables
            ]
        return sum(counts)

    def forks(self, run_id: str) -> list[str]:
        """Name the first forks of the run that are projected: they hold copies of its events."""
        if self.database is None:
            return []
        with self.database.snapshot() as tx:
            return [name for (name,) in tx.execute(_FORKS, (run_id, MAX_FORKS))]

    def in_snapshots(self, run_id: str) -> int:
        """Count the states that time travel keeps."""
        return 0 if self.snapshots is None else self.snapshots.count(self.store, run_id)

    def copies(self) -> Sequence[Path]:
        """Name the copies of the database that nobody changes any more."""
        if self.database is None:
            return ()
        path = self.database.path
        endings = ("schema-*", "damaged", "rebuild", "verify")
        return sorted(file for end in endings for file in path.parent.glob(f"{path.name}.{end}"))

    def deletion(self, run_id: str) -> Deletion | None:
        """Give where the run was deleted; None if it was not. Raises ``RunNotFound``."""
        head = self.store.head(run_id)
        return Deletion(run_id, head.version) if head.deleted else None

    def _read_log(self, partition: int) -> Counter[str]:
        keys, found = self.store.operations.keys, Counter[str]()
        after = Position(partition, 0, 0)
        while True:
            page = self._ask(entries_as_is(keys, after, PAGE_EVENTS))
            for _, entry in page:
                if entry is not None and not _is_empty(entry.encoded):
                    found[entry.run_id] += 1
            if len(page) < PAGE_EVENTS:
                return found
            after = page[-1][0]

    def _ask(self, command: Command[T]) -> T:
        return self.store.perform(single(command))


def _is_empty(encoded: bytes) -> bool:
    """Say whether an event tells nothing but that its run was deleted, or that it was erased."""
    try:
        return orjson.loads(encoded)["type"] in (DELETED, ERASED)
    except (ValueError, TypeError, KeyError):
        return False
