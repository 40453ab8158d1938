"""Rows of the archive as they stood when a seal was made.

What was accepted as lost since then stands in a table of its own; it is read from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from eventstore.archive.archive import Archive
from eventstore.archive.chain import digest_of, first_link
from eventstore.archive.entry import are_sound
from eventstore.archive.layout import PARTITION_PLACES, position_at
from eventstore.events import DELETED, Position

_FIELDS = "ms, run_id, version, event, checksum, append_id, workflow_id, digest, chain"
_EVENTS = """
SELECT e.place, e.ms, r.run_id, e.version, e.event, e.checksum, e.append_id, e.workflow_id,
       e.digest, e.chain, 0
FROM events AS e LEFT JOIN runs AS r ON r.id = e.run WHERE e.place > ? AND e.place <= ?
"""
_RUN = f"""
{_EVENTS.partition("WHERE")[0]} WHERE e.run = (SELECT id FROM runs WHERE run_id = ?)
AND e.version BETWEEN ? AND ?
"""
_EVENTS_SINCE = f"""
{_EVENTS} AND NOT EXISTS (SELECT 1 FROM lost_events WHERE place = e.place AND seal > ?)
UNION ALL
SELECT place, {_FIELDS}, 1 FROM lost_events AS l WHERE place > ? AND place <= ?
AND seal = (SELECT min(seal) FROM lost_events WHERE place = l.place AND seal > ?)
"""
_LINK = """
SELECT version, place, chain FROM events WHERE run = (SELECT id FROM runs WHERE run_id = ?)
AND version < ? ORDER BY version DESC LIMIT 1
"""
_LOST_LINK = """
SELECT version, place, chain FROM lost_events WHERE run_id = ? AND version < ? AND seal > ?
ORDER BY version DESC, seal LIMIT 1
"""
_DELETIONS = """
SELECT version, event, digest FROM events
WHERE run = (SELECT id FROM runs WHERE run_id = ?1)
AND version IN (SELECT version FROM runs WHERE run_id = ?1)
UNION ALL
SELECT version, event, digest FROM lost_events WHERE run_id = ?1 AND event IS NOT NULL
"""
_MAX_DELETIONS = 50_000
_PAGE_ROWS = 1_000


class Row(NamedTuple):
    """An archived event as its row says."""

    position: Position
    run_id: str | None
    version: int
    event: bytes | None
    checksum: str
    append_id: str
    workflow_id: str | None
    digest: bytes
    chain: bytes
    is_lost: bool
    """Whether it was accepted as lost since."""

    @property
    def is_sound(self) -> bool:
        """Whether all of it is of the kinds that were archived: SQLite keeps any."""
        kept = (self.position.ms, *self[1:7])
        return are_sound(kept) and isinstance(self.digest, bytes) and isinstance(self.chain, bytes)


class Link(NamedTuple):
    """A place in a run's chain: its version, the entry's number, and the chain there."""

    version: int
    n: int
    chain: bytes


NOW = 2**62
"""As a seal: later than any."""


class History:
    """Reads an archive's past, a page at a time."""

    def __init__(self, archive: Archive) -> None:
        self._database = archive.database
        self._deletions: dict[str, int] = {}
        with self._database.snapshot() as tx:
            ((self._last_loss,),) = tx.execute("SELECT coalesce(max(seal), 0) FROM lost_events")

    def rows(self, partition: int, after_n: int, up_to_n: int, seal: int) -> Iterator[Row]:
        """Give the rows of a partition with numbers between, as they stood at a seal."""
        first = partition * PARTITION_PLACES
        # An entry's number is never 0: a row there was put in by somebody.
        after, last = first + (after_n or -1), first + up_to_n
        while True:
            page = self._page(after, last, seal)
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            after = first + page[-1].position.n

    def run_rows(self, run_id: str, first: int, last: int) -> dict[int, Row]:
        """Give the rows of a run by version, as they stand now."""
        with self._database.snapshot() as tx:
            rows = tx.execute(_RUN, (run_id, first, last))
        return {row[3]: Row(position_at(row[0], row[1]), *row[2:]) for row in rows}

    def link_before(self, run_id: str, version: int, seal: int) -> Link:
        """Give the last link of a run's chain before a version, as it stood at a seal."""
        with self._database.snapshot() as tx:
            found = tx.execute(_LINK, (run_id, version))
            if seal < self._last_loss:
                found += tx.execute(_LOST_LINK, (run_id, version, seal))
        if not found:
            return Link(0, 0, first_link(run_id))
        last, place, chain = max(found, key=lambda row: int(row[0]))
        return Link(int(last), place % PARTITION_PLACES, chain)

    def is_deleted(self, run_id: str, row: Row) -> bool:
        """Say whether a ``run.deleted`` that is archived explains the erasure of a row.

        It erases what comes before it, and what was accepted as lost of its run.
        """
        if run_id not in self._deletions:
            if len(self._deletions) >= _MAX_DELETIONS:
                self._deletions.clear()
            with self._database.snapshot() as tx:
                rows = tx.execute(_DELETIONS, (run_id,))
            proven = (last for last, event, digest in rows if _deletes(event, digest))
            self._deletions[run_id] = max(proven, default=0)
        last = self._deletions[run_id]
        return row.version < last or bool(row.is_lost and last)

    def _page(self, after: int, last: int, seal: int) -> list[Row]:
        statement, bounds = _EVENTS, [after, last]
        if seal < self._last_loss:
            statement, bounds = _EVENTS_SINCE, [after, last, seal, after, last, seal]
        with self._database.snapshot() as tx:
            rows = tx.execute(f"{statement} ORDER BY 1 LIMIT {_PAGE_ROWS}", bounds)
        return [Row(position_at(place, ms), *rest) for place, ms, *rest in rows]


def _deletes(event: Any, digest: Any) -> bool:
    """Say whether this is a deletion as it was archived."""
    if not isinstance(event, bytes) or digest_of(event) != digest:
        return False
    try:
        return bool(orjson.loads(event)["type"] == DELETED)
    except (ValueError, TypeError, KeyError):
        return False
