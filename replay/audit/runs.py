"""Checks runs: their versions, and that their own streams hold what the archive does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eventstore import SyncEventStore
from eventstore import commands as calls
from eventstore.archive import Archive
from eventstore.archive.entry import Entry
from eventstore.commands import Head
from eventstore.plan import together
from replay.audit.findings import Found
from replay.audit.stored import archived_entries, archived_runs, damage, difference, run_entries

PAGE_EVENTS = 100
PAGE_RUNS = 50
MAX_NAMED = 100

Page = dict[int, Entry | None]


@dataclass(slots=True)
class RunCheck:
    """Compares each run's head, its own stream and the archive."""

    store: SyncEventStore
    archive: Archive | None
    found: Found
    runs: int = 0

    def walk(self) -> Iterator[int]:
        """Check every run of the archive; gives the runs checked by then."""
        after = 0
        while self.archive is not None:
            page = archived_runs(self.archive, after, PAGE_RUNS)
            self.check([run_id for _, run_id in page])
            yield self.runs
            if len(page) < PAGE_RUNS:
                return
            after = page[-1][0]

    def check_new(self, run_ids: Sequence[str]) -> None:
        """Check those of some runs that the archive does not know."""
        new = [run_id for run_id in run_ids if not self._archived_version(run_id)]
        for at in range(0, len(new), PAGE_RUNS):
            self.check(new[at : at + PAGE_RUNS])

    def check(self, run_ids: Sequence[str]) -> None:
        """Check some runs, their first pages read together."""
        keys = self.store.operations.keys
        asked = [
            command
            for run_id in run_ids
            for command in (
                calls.head(keys, run_id),
                run_entries(keys, run_id, 1, None, PAGE_EVENTS),
            )
        ]
        replies = iter(self.store.perform(together(asked)) if asked else ())
        for run_id, head, page in zip(run_ids, replies, replies, strict=True):
            self._check_run(run_id, head, page)
            self.runs += 1

    def _archived_version(self, run_id: str) -> int:
        known = None if self.archive is None else self.archive.run_head(run_id)
        return 0 if known is None else known.version

    def _check_run(self, run_id: str, head: Head | None, page: Page) -> None:
        archived = self._archived_version(run_id)
        if head is None:
            self.found.run("removed", "its head is gone", run_id, max([archived, *page]))
            return
        if archived > head.version:
            detail = f"its head ends at version {head.version}, the archive goes on"
            self.found.run("removed", detail, run_id, archived)
        # What comes before a stream's first version left Redis: the archive must have it.
        expected = min(archived, min(page, default=head.version + 1) - 1) + 1
        while page:
            expected = self._check_page(run_id, page, expected)
            if len(page) < PAGE_EVENTS:
                break
            (page,) = self.store.perform(
                together(
                    [run_entries(self.store.operations.keys, run_id, expected, None, PAGE_EVENTS)]
                )
            )
        self._check_end(run_id, head, expected)

    def _check_page(self, run_id: str, page: Page, expected: int) -> int:
        first, last = min(page), max(page)
        archive = self.archive
        kept = archived_entries(archive, run_id, first, last) if archive is not None else {}
        for version, entry in sorted(page.items()):
            self._missing(run_id, expected, version - 1)
            wrong = "it is no event" if entry is None else damage(entry)
            if wrong is None and entry is not None and version in kept:
                wrong = difference(entry, kept[version], "the archive")
                if wrong is not None and damage(kept[version]):
                    wrong = None  # it is the archive's fault, and told as such
            if wrong is not None:
                self.found.run("changed", wrong, run_id, version)
            expected = version + 1
        return expected

    def _check_end(self, run_id: str, head: Head, expected: int) -> None:
        if expected <= head.version:
            self._missing(run_id, expected, head.version)
        elif expected > head.version + 1:
            (now,) = self.store.perform(together([calls.head(self.store.operations.keys, run_id)]))
            known = now.version if now else 0
            for version in range(known + 1, min(expected, known + 1 + MAX_NAMED)):
                self.found.run("added", f"its head ends at version {known}", run_id, version)

    def _missing(self, run_id: str, first: int, last: int) -> None:
        named = range(first, min(last + 1, first + MAX_NAMED))
        for version in named:
            self.found.run("removed", "it is not there", run_id, version)
        self.found.count += max(0, last + 1 - first - len(named))
