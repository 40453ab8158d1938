"""Erases the content of deleted runs: digests and chains stay, so that it can still be verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eventstore.archive.archive import Archive
from eventstore.clock import Clock, from_ms, to_ms
from eventstore.sqlite import Transaction

PAGE_RUNS = 500

_BLANK = """
UPDATE events SET event = NULL
WHERE run = (SELECT id FROM runs WHERE run_id = ?) AND version < ? AND event IS NOT NULL
"""
# A deletion that was lost with the server is what justifies the erasure of what was lost before it.
_BLANK_LOST = """
UPDATE lost_events SET event = NULL WHERE run_id = ? AND event IS NOT NULL
AND json_extract(CAST(event AS TEXT), '$.type') <> 'run.deleted'
"""
_KEEP = "INSERT OR REPLACE INTO erasures (run_id, version, erased_ms) VALUES (?, ?, ?)"
_PENDING = """
SELECT run_id, version FROM runs AS r WHERE state = 'deleted'
AND NOT EXISTS (SELECT 1 FROM erasures WHERE run_id = r.run_id AND version = r.version)
ORDER BY run_id LIMIT ?
"""
_FIND = "SELECT version, erased_ms, wiped_ms FROM erasures WHERE run_id = ?"
_LEFT = """
SELECT (SELECT count(*) FROM events WHERE run = (SELECT id FROM runs WHERE run_id = ?1)
        AND event IS NOT NULL AND version < ?2),
       (SELECT count(*) FROM lost_events WHERE run_id = ?1 AND event IS NOT NULL
        AND json_extract(CAST(event AS TEXT), '$.type') <> 'run.deleted')
"""
_UNWIPED = """
SELECT run_id, version FROM erasures WHERE wiped_ms IS NULL AND run_id > ? ORDER BY run_id LIMIT ?
"""
_WIPED = "UPDATE erasures SET wiped_ms = ? WHERE run_id = ? AND version = ?"


class Deletion(NamedTuple):
    """A deleted run: the version of its ``run.deleted``."""

    run_id: str
    version: int


class Erasure(NamedTuple):
    """What the archive says of an erased run; times in ms since 1970."""

    version: int
    erased_ms: int
    wiped_ms: int | None

    def __str__(self) -> str:
        return f"erased at {from_ms(self.erased_ms):%Y-%m-%d %H:%M:%S}"


def erase(tx: Transaction, deletions: Iterable[Deletion], now_ms: int) -> None:
    """Take away what was archived of deleted runs before their deletions, and note that."""
    for run_id, version in deletions:
        tx.execute(_BLANK, (run_id, version))
        tx.execute(_BLANK_LOST, (run_id,))
        tx.execute(_KEEP, (run_id, version, now_ms))


def erase_earlier(archive: Archive, clock: Clock) -> int:
    """Erase deleted runs that nobody erased when they were archived; give how many those were."""
    count = 0
    while True:
        with archive.database.snapshot() as tx:
            found = [Deletion(*row) for row in tx.execute(_PENDING, (PAGE_RUNS,))]
        if not found:
            return count
        with archive.database.transaction() as tx:
            erase(tx, found, to_ms(clock()))
        count += len(found)


def find_erasure(tx: Transaction, run_id: str) -> Erasure | None:
    """Give what is known of a run's erasure."""
    rows = tx.execute(_FIND, (run_id,))
    return Erasure(*rows[0]) if rows else None


def content_left(tx: Transaction, run_id: str, before: int) -> int:
    """Count the events of a run before a version that the archive still has the content of."""
    ((archived, lost),) = tx.execute(_LEFT, (run_id, before))
    return int(archived + lost)


def unwiped(archive: Archive) -> Iterator[list[Deletion]]:
    """Give the erased runs of which traces may be left, page by page."""
    last = ""
    while True:
        with archive.database.snapshot() as tx:
            page = [Deletion(*row) for row in tx.execute(_UNWIPED, (last, PAGE_RUNS))]
        if not page:
            return
        yield page
        last = page[-1].run_id


def note_wiped(archive: Archive, deletions: Iterable[Deletion], now_ms: int) -> None:
    """Note that no trace of runs is left."""
    with archive.database.transaction() as tx:
        tx.executemany(_WIPED, ((now_ms, *one) for one in deletions))
