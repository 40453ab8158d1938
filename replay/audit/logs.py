"""Checks the log of each partition, and that runs' own streams hold the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eventstore import SyncEventStore
from eventstore.archive import Archive
from eventstore.archive.checks.findings import place_without_time
from eventstore.archive.commands import ask, entries_as_is, log_end
from eventstore.archive.entry import Entry
from eventstore.commands import tail
from eventstore.events import Position
from eventstore.plan import together
from replay.audit.findings import Found
from replay.audit.stored import damage, difference, run_entries

PAGE_EVENTS = 500
MAX_NAMED = 100
"""So many entries that are missing in a row are named each; of more the last are counted."""

Beginnings = Callable[[list[str]], None]
"""Is told the runs that begin in a page of the log."""


@dataclass(slots=True)
class LogCheck:
    """Walks along each partition's log in pages, up to where it ended when the walk began."""

    store: SyncEventStore
    archive: Archive | None
    found: Found
    on_begun: Beginnings
    events: int = 0

    def walk(self) -> Iterator[int]:
        """Check partition after partition; gives the events checked by then."""
        for partition in range(self.store.operations.keys.partitions):
            yield from self._partition(partition)

    def _partition(self, partition: int) -> Iterator[int]:
        reached = self._reached(partition)
        until = self._check_end(partition, reached)
        last = Position(partition, 0, 0)
        while True:
            page = self._page(last)
            for at, entry in page:
                self._check_place(last, at, reached)
                if entry is None:
                    self.found.log("changed", "it is no event", at)
                last = at
            entries = [entry for _, entry in page if entry is not None]
            self._check_entries(entries)
            self.on_begun([one.run_id for one in entries if one.version == 1])
            self.events += len(page)
            yield self.events
            if len(page) < PAGE_EVENTS or last.n >= until.n:
                return

    def _page(self, after: Position) -> list[tuple[Position, Entry | None]]:
        return self.store.perform(
            ask(entries_as_is(self.store.operations.keys, after, PAGE_EVENTS))
        )

    def _reached(self, partition: int) -> Position:
        if self.archive is None:
            return Position(partition, 0, 0)
        return self.archive.reached()[partition]

    def _check_end(self, partition: int, reached: Position) -> Position:
        """Compare the log's last entry with what counts its entries; give the end."""
        keys = self.store.operations.keys
        while True:
            known = self.store.perform(ask(tail(keys, partition)))
            end = self.store.perform(ask(log_end(keys, partition)))
            if self.store.perform(ask(tail(keys, partition))) == known:
                break
        held = 0 if end is None else end.n
        if held > known.n:
            self.found.log("added", f"the log's counter ends at {known}", end or known)
        elif known.n > max(held, reached.n if end is None else 0):
            self._missing(partition, held + 1, known.n)
        if reached.n > known.n:
            self.found.log("removed", f"the log ends at {known}, the archive goes on", reached)
        return end or known

    def _check_place(self, last: Position, at: Position, reached: Position) -> None:
        expected = last.n + 1 if last.n else min(at.n, reached.n + 1)
        if at.n > expected:
            self._missing(at.partition, expected, at.n - 1)
        elif at.n < expected:
            self.found.log("moved", f"entry {expected} is expected in its place", at)

    def _missing(self, partition: int, first: int, last: int) -> None:
        named = range(first, min(last + 1, first + MAX_NAMED))
        for n in named:
            self.found.log("removed", "no entry is there", place_without_time(partition, n))
        self.found.count += last + 1 - first - len(named)

    def _check_entries(self, entries: Sequence[Entry]) -> None:
        """Check entries by themselves, and against their runs' own streams."""
        held = self._held(entries)
        for one in entries:
            wrong = damage(one)
            if wrong is not None:
                self.found.log("changed", wrong, one.position, one.run_id, one.version)
                continue
            other = held.get((one.run_id, one.version))
            if other is not None:
                wrong = difference(one, other, "its run's stream")
            elif one.position.n > self._reached(one.position.partition).n:
                # A run stream is dropped when all of it is archived, and not before.
                wrong = "its run's own stream lacks it"
            if wrong is not None:
                self.found.log("differs", wrong, one.position, one.run_id, one.version)

    def _held(self, entries: Sequence[Entry]) -> dict[tuple[str, int], Entry | None]:
        ranges: dict[str, tuple[int, int]] = {}
        for one in entries:
            first, last = ranges.get(one.run_id, (one.version, one.version))
            ranges[one.run_id] = min(first, one.version), max(last, one.version)
        keys = self.store.operations.keys
        asked = [
            run_entries(keys, run_id, first, last, min(last - first + 1, PAGE_EVENTS))
            for run_id, (first, last) in ranges.items()
        ]
        pages = self.store.perform(together(asked)) if asked else []
        return {
            (run_id, version): entry
            for run_id, page in zip(ranges, pages, strict=True)
            for version, entry in page.items()
        }
