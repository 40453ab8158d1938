"""Compares the archive with Redis, where both hold an event."""

from __future__ import annotations

from eventstore.archive.archive import Archive
from eventstore.archive.chain import digest_of
from eventstore.archive.checks.findings import Finding, Findings
from eventstore.archive.checks.history import NOW, History, Row
from eventstore.archive.commands import ask, entries_as_is
from eventstore.archive.entry import Entry
from eventstore.commands import log_start
from eventstore.events import Position
from eventstore.sync_store import SyncEventStore

_PAGE_EVENTS = 500


def compare(archive: Archive, store: SyncEventStore, findings: Findings) -> int:
    """Compare each partition's log with the archive; give how many entries both hold."""
    history = History(archive)
    ends = archive.reached().values()
    return sum(_compare_log(history, store, end, findings) for end in ends)


def _compare_log(history: History, store: SyncEventStore, end: Position, findings: Findings) -> int:
    keys, partition = store.operations.keys, end.partition
    first = store.perform(ask(log_start(keys, partition)))
    if first is not None and first.n > end.n + 1:
        detail = f"entries {end.n + 1} to {first.n - 1} are in neither archive nor log"
        findings.add(Finding("removed", detail, position=str(first)))
    after, compared = Position(partition, 0, 0), 0
    while True:
        page = store.perform(ask(entries_as_is(keys, after, _PAGE_EVENTS)))
        held = {at: entry for at, entry in page if at.n <= end.n}
        if held:
            lowest, highest = (pick(at.n for at in held) for pick in (min, max))
            rows = history.rows(partition, lowest - 1, highest, NOW)
            archived = {row.position.n: row for row in rows}
            for at, entry in held.items():
                _compare(at, entry, archived.get(at.n), findings)
        compared += len(held)
        if len(held) < _PAGE_EVENTS:
            return compared
        after = page[-1][0]


def _compare(at: Position, entry: Entry | None, row: Row | None, findings: Findings) -> None:
    if row is None:
        return  # it was told as removed
    detail = _difference(at, entry, row)
    if detail is not None:
        findings.add(Finding("differs", detail, row.run_id, row.version, str(row.position)))


def _difference(at: Position, entry: Entry | None, row: Row) -> str | None:
    if entry is None:
        return "what Redis holds in its place is no event"
    known = (row.run_id, row.version, row.append_id, row.workflow_id)
    if (entry.run_id, entry.version, entry.append_id, entry.workflow_id) != known:
        return f"Redis holds version {entry.version} of run {entry.run_id!r} in its place"
    if at != row.position:
        return f"Redis holds it at {at}"
    if digest_of(entry.encoded) != row.digest:
        return "Redis holds other content"
    return None if entry.checksum == row.checksum else "Redis holds another checksum"
