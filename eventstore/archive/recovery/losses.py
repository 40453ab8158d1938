"""What the server lost: events that the archive holds, and the log no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventstore import commands
from eventstore.archive.archive import Archive
from eventstore.archive.binding import Binding
from eventstore.archive.commands import entry_at, log_end
from eventstore.archive.entry import SELECT_EVENTS, Entry
from eventstore.archive.layout import place_of
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap
from eventstore.events import Position
from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.sync_store import SyncEventStore

_PAGE = f"{SELECT_EVENTS} WHERE e.place > ? AND e.place <= ? ORDER BY e.place LIMIT ?"
_PAGE_EVENTS = 500
_DECODER = Decoder()
"""Without upcasters: they change data, and only the type is told."""


@dataclass(frozen=True, slots=True)
class LostEvent:
    """An event that the log holds no more, though nobody trimmed it."""

    run_id: str
    version: int
    position: Position
    type: str


@dataclass(frozen=True, slots=True)
class PartitionLoss:
    """What a partition lost: ``kept`` is the last entry that log and archive share."""

    partition: int
    kept: Position
    archived: Position
    """The last entry that the archive holds."""
    tail: Position
    """Where the log ends now."""

    @property
    def events(self) -> int:
        """How many were lost."""
        return self.archived.n - self.kept.n

    @property
    def is_replaced(self) -> bool:
        """Whether other events took their places: then they cannot be put back."""
        return self.tail.n > self.kept.n


@dataclass(frozen=True, slots=True)
class Losses:
    """What a store lost.

    ``is_new_store``: the namespace was made anew; it took the place of the one that was lost.
    """

    partitions: tuple[PartitionLoss, ...]
    is_new_store: bool
    is_empty: bool
    """Whether nothing was appended to the store (since)."""

    @property
    def events(self) -> int:
        """How many events were lost."""
        return sum(loss.events for loss in self.partitions)

    @property
    def replaced(self) -> tuple[PartitionLoss, ...]:
        """The partitions in which other events took the places of those that were lost."""
        return tuple(loss for loss in self.partitions if loss.is_replaced)


def lost(archive: Archive, store: SyncEventStore) -> Losses:
    """Find what the server lost of what is archived. Nothing is changed.

    Raises ``StoreMismatch`` for the archive of another namespace, ``HistoryGap`` where the log
    was cut so far that nobody can tell.
    """
    is_new_store = Binding.of(store.identity, store.operations.keys).is_replaced(archive.database)
    return store.perform(_search(archive, store.operations.keys, is_new_store=is_new_store))


def lost_events(archive: Archive, losses: Losses) -> Iterator[LostEvent]:
    """Give each lost event, partition by partition, in order; reads in pages.

    Raises ``CorruptEvent`` for one that is not what was archived.
    """
    for loss in losses.partitions:
        for page in archived_pages(archive, loss, _PAGE_EVENTS):
            for entry in page:
                kind = entry.recorded(_DECODER).type
                yield LostEvent(entry.run_id, entry.version, entry.position, kind)


def archived_pages(
    archive: Archive, loss: PartitionLoss, page_events: int
) -> Iterator[list[Entry]]:
    """Give the lost entries of a partition, page by page, from the archive."""
    after, last = place_of(loss.kept), place_of(loss.archived)
    while after < last:
        with archive.database.snapshot() as tx:
            rows = tx.execute(_PAGE, (after, last, page_events))
        if not rows:
            return
        yield [Entry.of_row(row) for row in rows]
        after = rows[-1][0]


def _search(archive: Archive, keys: Keys, *, is_new_store: bool) -> Plan[Losses]:
    reached = archive.reached()
    tails = yield [commands.tail(keys, partition) for partition in reached]
    starts = yield [commands.log_start(keys, partition) for partition in reached]
    ends = yield [log_end(keys, partition) for partition in reached]
    found = []
    for archived, tail, start, end in zip(reached.values(), tails, starts, ends, strict=True):
        tail_now = max(tail, end or tail)
        if not archived.n:
            continue
        kept = yield from _last_shared(archive, keys, archived, tail_now, start)
        if kept.n < archived.n:
            found.append(PartitionLoss(archived.partition, kept, archived, tail_now))
    is_empty = not any(tail.n for tail in tails) and not any(ends)
    return Losses(tuple(found), is_new_store=is_new_store, is_empty=is_empty)


def _last_shared(
    archive: Archive, keys: Keys, archived: Position, tail: Position, start: Position | None
) -> Plan[Position]:
    """Find the last entry that log and archive share; its number is 0 if they share none.

    What the server kept is the beginning of what it had, so that halving finds the place.
    """
    nothing = Position(archived.partition, 0, 0)
    high = min(archived.n, tail.n)
    if not high:
        return nothing
    low = start.n if start else tail.n  # what is before was trimmed, and archived before that
    if low > archived.n:
        return archived
    if not (yield from _is_shared(archive, keys, low, is_trimmed=start is None, at=tail)):
        if low > 1:
            raise HistoryGap(
                f"partition {archived.partition}",
                f"an entry {low} as it is archived",
                f"another one at {start or tail}, and nothing before it",
            )
        return nothing
    while low < high:
        middle = (low + high + 1) // 2
        if (yield from _is_shared(archive, keys, middle, is_trimmed=False, at=tail)):
            low = middle
        else:
            high = middle - 1
    return _entry(archive, archived.partition, low).position


def _is_shared(
    archive: Archive, keys: Keys, n: int, *, is_trimmed: bool, at: Position
) -> Plan[bool]:
    """Whether log and archive hold the same entry of this number."""
    known = _entry(archive, at.partition, n)
    if is_trimmed:
        return known.position == at
    (found,) = yield [entry_at(keys, known.position)]
    return found is not None and known in (found, found.erased())


def _entry(archive: Archive, partition: int, n: int) -> Entry:
    places = (place_of(Position(partition, 0, n - 1)), place_of(Position(partition, 0, n)), 1)
    with archive.database.snapshot() as tx:
        rows = tx.execute(_PAGE, places)
    if not rows:
        raise HistoryGap(f"archive {archive.path}, partition {partition}", f"entry {n}", "nothing")
    return Entry.of_row(rows[0])
