"""Compares the archive with Redis, where both hold an event."""

from __future__ import annotations

from collections.abc import Mapping

from eventstore.archive.archive import Archive
from eventstore.archive.chain import digest_of
from eventstore.archive.checks.findings import Finding, Findings
from eventstore.archive.checks.history import NOW, History, Row
from eventstore.archive.commands import ask, ask_all, entries_as_is, run_as_is
from eventstore.archive.entry import Entry
from eventstore.commands import log_start, tail
from eventstore.events import Position, erased_form
from eventstore.sync_store import SyncEventStore

_PAGE_EVENTS = 500
_PAGE_RUNS = 100
_PAGE_RUN_EVENTS = 100
_RUNS = """
SELECT id, run_id, version FROM runs WHERE id > ? AND NOT is_dropped
AND typeof(run_id) = 'text' AND typeof(version) = 'integer' ORDER BY id LIMIT ?
"""


def compare(archive: Archive, store: SyncEventStore, findings: Findings) -> int:
    """Compare logs and run streams with the archive; give how many log entries both hold."""
    history = History(archive)
    partitions = range(archive.binding.partitions)
    compared = sum(_compare_log(archive, history, store, p, findings) for p in partitions)
    after = 0
    while True:
        with archive.database.snapshot() as tx:
            runs = tx.execute(_RUNS, (after, _PAGE_RUNS))
        _compare_runs(history, store, {run_id: version for _, run_id, version in runs}, findings)
        if len(runs) < _PAGE_RUNS:
            return compared
        after = runs[-1][0]


def _compare_log(
    archive: Archive, history: History, store: SyncEventStore, partition: int, findings: Findings
) -> int:
    keys = store.operations.keys
    last = store.perform(ask(tail(keys, partition)))
    first = store.perform(ask(log_start(keys, partition)))
    end = archive.reached()[partition]  # after that: what was trimmed by then had been archived
    gone = last.n if first is None else first.n - 1
    if gone > end.n:
        detail = f"entries {end.n + 1} to {gone} are in neither archive nor log"
        findings.add(Finding("removed", detail, position=str(first or last)))
    after, compared = Position(partition, 0, 0), 0
    while True:
        page = store.perform(ask(entries_as_is(keys, after, _PAGE_EVENTS)))
        held = {at: entry for at, entry in page if at.n <= end.n}
        if held:
            lowest, highest = (pick(at.n for at in held) for pick in (min, max))
            rows = history.rows(partition, lowest - 1, highest, NOW)
            archived = {row.position.n: row for row in rows}
            for at, entry in held.items():
                _compare(entry, archived.get(at.n), findings)
        compared += len(held)
        if len(held) < _PAGE_EVENTS:
            return compared
        after = page[-1][0]


def _compare_runs(
    history: History, store: SyncEventStore, ends: Mapping[str, int], findings: Findings
) -> None:
    """Compare run streams, up to the versions that are archived."""
    keys = store.operations.keys
    waiting = dict.fromkeys(ends, 0)
    while waiting:
        commands = [run_as_is(keys, run_id, at, _PAGE_RUN_EVENTS) for run_id, at in waiting.items()]
        pages = store.perform(ask_all(commands))
        further = {}
        for run_id, page in zip(waiting, pages, strict=True):
            held = {version: entry for version, entry in page if version <= ends[run_id]}
            rows = history.run_rows(run_id, min(held), max(held)) if held else {}
            for version, entry in held.items():
                _compare(entry, rows.get(version), findings)
            if len(held) == _PAGE_RUN_EVENTS:
                further[run_id] = page[-1][0]
        waiting = further


def _compare(entry: Entry | None, row: Row | None, findings: Findings) -> None:
    if row is None or not row.is_sound:
        return  # it was told
    detail = _difference(entry, row)
    if detail is not None:
        findings.add(Finding("differs", detail, row.run_id, row.version, str(row.position)))


def _difference(entry: Entry | None, row: Row) -> str | None:
    if entry is None:
        return "what Redis holds in its place is no event"
    known = (row.run_id, row.version, row.append_id, row.workflow_id)
    if (entry.run_id, entry.version, entry.append_id, entry.workflow_id) != known:
        return f"Redis holds version {entry.version} of run {entry.run_id!r} in its place"
    if entry.position != row.position:
        return f"Redis holds it at {entry.position}"
    if row.event is None and entry.encoded == erased_form(row.digest):
        return None  # it was put back after it was erased
    if digest_of(entry.encoded) != row.digest:
        return "Redis holds other content"
    return None if entry.checksum == row.checksum else "Redis holds another checksum"
