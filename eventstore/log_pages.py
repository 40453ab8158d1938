"""Pages of the log, from Redis and from the archive as if they were one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore import commands
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap, LogRegressed
from eventstore.events import Position, RecordedEvent
from eventstore.keys import Keys
from eventstore.plan import Plan, Recall

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive

Page = list[RecordedEvent]


@dataclass(frozen=True, slots=True)
class LogPages:
    """Reads the next page of each partition, and skips nothing.

    Redis is asked first. Where it holds the next entry no more, the archive does: nothing is
    trimmed that was not archived before.
    """

    keys: Keys
    decoder: Decoder
    identity: str | None = None

    def read(
        self, after: Mapping[int, Position], limit: int, *, go_on: bool = False
    ) -> Plan[dict[int, Page]]:
        """Read up to ``limit`` events of each partition after a position.

        What was read last is read again with it: when it is gone, and was not trimmed, the server
        lost it, and what replaced it may stand before it (``LogRegressed``). ``go_on`` says that
        the log is known to go on after these positions. Raises ``HistoryGap`` for what neither
        Redis nor the archive holds.
        """
        after = yield from self._entries(after)
        if not after:
            return {}
        anchors = {p: Position(p, at.ms, max(at.n - 1, 0)) for p, at in after.items()}
        (found,) = yield [commands.log_page(self.keys, self.decoder, anchors, limit + 1)]
        pages, adrift = {}, []
        for partition, at in after.items():
            page = found.get(partition, [])
            if at.n and page and page[0].position == at:
                page = page[1:]
            elif at.n:
                adrift.append(at)
            pages[partition] = page[:limit]
        if adrift:
            yield from self._check_trimmed(adrift)
        yield from self._fill(after, pages, limit, go_on=go_on)
        return pages

    def check_kept(self) -> Plan[None]:
        """Raise ``LogRegressed`` if the store is gone, or a log lost what was archived last."""
        if self.identity is not None:
            (found,) = yield [commands.store_id(self.keys)]
            if found != self.identity:
                where = f"namespace {self.keys.namespace!r}"
                raise LogRegressed(where, f"store {self.identity}", found)
        reached = yield Recall(lambda archive: archive.reached())
        if reached:
            yield from self.check_there(reached)

    def check_there(self, reached: Mapping[int, Position]) -> Plan[None]:
        """Raise ``LogRegressed`` where a log ends before an entry, or has others in its place.

        One that was trimmed, or is merely missing, is for the archive. Positions with ``n`` 0 are
        none of an entry.
        """
        known = [at for at in reached.values() if at.n]
        if not known:
            return
        yield from self.check_tails({at.partition: at for at in known})
        before = yield [commands.entry_up_to(self.keys, at) for at in known]
        behind = yield [commands.entry_behind(self.keys, at) for at in known]
        for at, last, after in zip(known, before, behind, strict=True):
            # Numbers and times rise together, so that one of the two neighbours tells.
            if last is not None and last != at and last.n >= at.n:
                raise LogRegressed(_place(at), at, last)
            if after is not None and after.n <= at.n:
                raise LogRegressed(_place(at), at, after)

    def check_tails(self, reached: Mapping[int, Position]) -> Plan[None]:
        """Raise ``LogRegressed`` if a log ends before a position that was reached.

        One that others appended to since may end later, and still have fewer entries.
        """
        tails = yield [commands.tail(self.keys, partition) for partition in reached]
        for position, tail in zip(reached.values(), tails, strict=True):
            if tail < position or tail.n < position.n:
                raise LogRegressed(_place(position), position, tail)

    def _entries(self, after: Mapping[int, Position]) -> Plan[Mapping[int, Position]]:
        """Replace positions that are times, with ``n`` 0, by the last entry before each."""
        times = [at for at in after.values() if at.ms and not at.n]
        if not times:
            return after
        before = yield [commands.entry_before(self.keys, at) for at in times]
        entries = dict(after)
        unknown = []
        for at, entry in zip(times, before, strict=True):
            entries[at.partition] = entry or Position(at.partition, 0, 0)
            if entry is None:
                unknown.append(at)
        archived = yield Recall(lambda archive: [archive.before(at) for at in unknown])
        return entries | {at.partition: at for at in archived or () if at is not None}

    def _check_trimmed(self, adrift: Sequence[Position]) -> Plan[None]:
        """Raise ``LogRegressed`` unless positions that are gone were trimmed from the front.

        One that is missing between others counts as lost, unless the archive has it and nothing
        stands in its place.
        """
        yield from self.check_tails({at.partition: at for at in adrift})
        nearest = yield [commands.entry_up_to(self.keys, at) for at in adrift]
        kept = yield Recall(lambda archive: [_archived_at(archive, at) for at in adrift])
        for at, last, archived in zip(adrift, nearest, kept or [None] * len(adrift), strict=True):
            is_lost = last is not None and (last.n >= at.n or archived != at)
            if is_lost or archived not in (None, at):
                raise LogRegressed(_place(at), at, last if is_lost else archived)

    def _fill(
        self, after: Mapping[int, Position], pages: dict[int, Page], limit: int, *, go_on: bool
    ) -> Plan[None]:
        """End each page at its first hole, and go on there with what was archived."""
        holes: dict[int, Hole] = {}
        for partition, at in after.items():
            page = pages[partition]
            fitting = pages[partition] = without_holes(page, at)
            if len(fitting) < len(page) or (go_on and not page):
                last = fitting[-1].position if fitting else at
                holes[partition] = Hole(last, page[len(fitting)].position if page else None)
        if not holes:
            return
        filled = yield Recall(
            lambda archive: {
                p: archive.log_page(hole.after, limit, hole.up_to_n) for p, hole in holes.items()
            }
        )
        for partition, hole in holes.items():
            fitting = without_holes((filled or {}).get(partition, []), hole.after)
            if not fitting:
                raise hole.unfilled()
            pages[partition] = (pages[partition] + fitting)[:limit]


@dataclass(frozen=True, slots=True)
class Hole:
    """What Redis does not hold: the entries after one, and before another if that is there."""

    after: Position
    before: Position | None

    @property
    def up_to_n(self) -> int | None:
        """The number of its last entry, where known."""
        return self.before.n - 1 if self.before else None

    def unfilled(self) -> HistoryGap:
        """Make the error for one that the archive does not fill either."""
        expected = f"entry {self.after.n + 1}"
        return HistoryGap(_place(self.after), expected, self.before or "nothing")


def without_holes(page: Page, after: Position) -> Page:
    """Give the events up to the first hole in ``n``. Raises ``LogRegressed`` if it falls."""
    for place, event in enumerate(page):
        expected = after.n + 1 + place
        if event.position.n < expected:
            raise LogRegressed(_place(after), after, event.position)
        if event.position.n > expected:
            return page[:place]
    return page


def _archived_at(archive: Archive, at: Position) -> Position | None:
    """Give the position of the archived entry with the same number, if there is one."""
    page = archive.log_page(at._replace(n=at.n - 1), 1, at.n)
    return page[0].position if page else None


def _place(at: Position) -> str:
    return f"partition {at.partition}"
