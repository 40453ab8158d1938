"""What is to be archived next: entries of the log as they are stored, and none left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventstore import commands
from eventstore.archive.commands import entries_from, wake
from eventstore.archive.entry import Entry
from eventstore.errors import HistoryGap, LogRegressed
from eventstore.events import Position
from eventstore.keys import Keys
from eventstore.plan import Plan, Wait


@dataclass(frozen=True, slots=True)
class Mark:
    """The last archived entry of a partition; its checksum tells it from another in its place."""

    position: Position
    checksum: str


Marks = Mapping[int, Mark]


@dataclass(frozen=True, slots=True)
class Source:
    """Reads on where the archive stands, and never skips anything.

    Raises ``HistoryGap``, ``LogRegressed`` and ``CorruptEvent``.
    """

    keys: Keys

    def read(self, marks: Marks, limit: int, block_ms: int | None = None) -> Plan[list[Entry]]:
        """Read up to ``limit`` entries after the marks, each partition in order.

        With ``block_ms`` it waits that long for the first one.
        """
        found = yield from self._next(marks, limit)
        if not found and block_ms is not None:
            reached = {partition: mark.position for partition, mark in marks.items()}
            if (yield Wait(wake(self.keys, reached, block_ms))):
                found = yield from self._next(marks, limit)
        return found

    def _next(self, marks: Marks, limit: int) -> Plan[list[Entry]]:
        tails = yield [commands.tail(self.keys, partition) for partition in marks]
        behind = {
            partition: _backlog(mark.position, tail)
            for (partition, mark), tail in zip(marks.items(), tails, strict=True)
        }
        shares = share_out(behind, limit)
        if not shares:
            return []
        pages = yield [
            entries_from(self.keys, marks[partition].position, share + 1)
            for partition, share in shares.items()
        ]
        found: list[Entry] = []
        for (partition, share), page in zip(shares.items(), pages, strict=True):
            found += yield from self._after(marks[partition], page, share)
        return found

    def _after(self, mark: Mark, page: list[Entry], share: int) -> Plan[list[Entry]]:
        """Check that a page goes on right behind the mark, and give what comes after it."""
        at = mark.position
        if at.n and page and page[0].position == at:
            if page[0].checksum != mark.checksum:
                raise LogRegressed(_place(at), at, f"another event at {at}")
            page = page[1:]
        elif at.n:
            yield from self._check_trimmed(at)
        for n, entry in enumerate(page, at.n + 1):
            if entry.position.n < n:
                raise LogRegressed(_place(at), at, entry.position)
            if entry.position.n > n:
                raise HistoryGap(_place(at), f"entry {n}", entry.position)
        if not page:
            raise HistoryGap(_place(at), f"entry {at.n + 1}", "nothing")
        return page[:share]

    def _check_trimmed(self, at: Position) -> Plan[None]:
        """Raise ``LogRegressed`` unless an entry that is gone was trimmed from the front."""
        (first,) = yield [commands.log_start(self.keys, at.partition)]
        if first is not None and first <= at:
            raise LogRegressed(_place(at), at, first)


def share_out(behind: Mapping[int, int], limit: int) -> dict[int, int]:
    """Share so many events out among the partitions that have some; each gets one at least."""
    shares: dict[int, int] = {}
    waiting = sorted((count, partition) for partition, count in behind.items() if count)
    for place, (count, partition) in enumerate(waiting):
        fair = max(1, limit // (len(waiting) - place))
        shares[partition] = min(count, fair)
        limit -= shares[partition]
    return {partition: shares[partition] for partition in sorted(shares)}


def _backlog(at: Position, tail: Position) -> int:
    """Count the entries behind a position. Raises ``LogRegressed`` if the log ends before it."""
    if tail < at or tail.n < at.n:
        raise LogRegressed(_place(at), at, tail)
    return tail.n - at.n


def _place(at: Position) -> str:
    return f"partition {at.partition}"
