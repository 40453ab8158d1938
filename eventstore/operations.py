"""What can be done with an open namespace, as plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eventstore import commands
from eventstore.checks import check_count
from eventstore.commands import Command, Head
from eventstore.decoding import Decoder
from eventstore.due_index import due_times, lease_due, settle_timers
from eventstore.errors import LogRegressed, RunNotFound
from eventstore.events import Position, RecordedEvent, check_run_id
from eventstore.events.identifiers import check_name
from eventstore.keys import Keys
from eventstore.log_pages import LogPages, without_holes
from eventstore.plan import Plan, Recall, Wait, single
from eventstore.readers import report_reader
from eventstore.run_reader import RunReader, explain_missing, without_gaps
from eventstore.settings import Settings
from eventstore.timers import DueTimer
from eventstore.waiting import Awaited


@dataclass(frozen=True, slots=True)
class Operations:
    """The plans of one open namespace."""

    keys: Keys
    decoder: Decoder
    settings: Settings
    identity: str | None = None
    """The store's id, where it was opened and not merely looked at."""

    def head(self, run_id: str) -> Plan[Head]:
        """Read a run's head. Raises ``RunNotFound``, or ``LogRegressed`` if only that is gone."""
        while True:
            (head,) = yield [commands.head(self.keys, check_run_id(run_id))]
            if head is not None:
                return head  # type: ignore[no-any-return]
            yield from explain_missing(self.keys, run_id)

    def reader(
        self, run_id: str, after: int = 0, limit: int | None = None, *, backwards: bool = False
    ) -> RunReader:
        """Make a reader of a run's events after a version, page by page."""
        size = self.settings.page_events
        return RunReader(self.keys, self.decoder, size, run_id, after, limit, backwards=backwards)

    def load(self, run_id: str, after: int = 0) -> Plan[list[RecordedEvent]]:
        """Read all of a run's events after a version."""
        reader = self.reader(run_id, after)
        events: list[RecordedEvent] = []
        while not reader.done:
            events += yield from reader.next_page()
        return events

    def run_parts(self, parts: Sequence[tuple[str, int, int]]) -> Plan[list[list[RecordedEvent]]]:
        """Read parts of runs, all at once: of each run what is there between two versions."""
        pages: list[list[RecordedEvent]] = yield [
            commands.run_page(self.keys, self.decoder, run_id, after, before, before - after - 1)
            for run_id, after, before in parts
        ]
        short = [
            n for n, (_, after, before) in enumerate(parts) if len(pages[n]) < before - after - 1
        ]
        if not short:
            return pages
        found = yield Recall(
            lambda archive: [
                archive.run_page(*parts[n], parts[n][2] - parts[n][1] - 1) for n in short
            ]
        )
        for place, archived in zip(short, found or (), strict=False):
            merged = {event.version: event for event in [*archived, *pages[place]]}
            pages[place] = [merged[version] for version in sorted(merged)]
        return pages

    def tails(self) -> Plan[dict[int, Position]]:
        """Read where each partition's log ends."""
        partitions = range(self.keys.partitions)
        tails = yield [commands.tail(self.keys, partition) for partition in partitions]
        return dict(zip(partitions, tails, strict=True))

    def read_log(
        self, after: Mapping[int, Position], limit: int, block_ms: int | None = None
    ) -> Plan[list[RecordedEvent]]:
        """Read up to ``limit`` events after positions, each partition in order.

        Partitions not named are read from their beginning. With ``block_ms`` it waits that long
        for the first one. Raises ``HistoryGap`` and ``LogRegressed``: nothing is skipped.
        """
        check_count("limit", limit)
        start = {p: after.get(p, Position(p, 0, 0)) for p in range(self.keys.partitions)}
        each = -(-limit // self.keys.partitions)
        if not any(at.ms for at in start.values()):
            yield from self.log.check_kept()  # who knows no place yet would not miss what is gone
        pages = yield from self._shared_out(start, limit, each)
        if not any(pages.values()):
            pages = yield from self._pages_up_to_tails(start, each)
        if not any(pages.values()) and block_ms is not None:
            command = commands.log_page(self.keys, self.decoder, start, each, block_ms)
            pages = yield Wait(command)
            if any(len(without_holes(page, start[p])) < len(page) for p, page in pages.items()):
                pages = yield from self.log_pages(start, each)
        return [event for page in pages.values() for event in page][:limit]

    def log_pages(
        self, after: Mapping[int, Position], limit: int
    ) -> Plan[dict[int, list[RecordedEvent]]]:
        """Read up to ``limit`` events of each partition after a position, and skip nothing.

        What left Redis comes from the archive. Raises ``HistoryGap`` for what neither holds, and
        ``LogRegressed`` where the log is not the one that the positions came from.
        """
        return self.log.read(after, limit)

    def check_tails(self, reached: Mapping[int, Position]) -> Plan[None]:
        """Raise ``LogRegressed`` if a log ends before a position that was reached."""
        return self.log.check_tails(reached)

    @property
    def log(self) -> LogPages:
        """The reader of the log's pages."""
        return LogPages(self.keys, self.decoder, self.identity)

    def _shared_out(
        self, after: Mapping[int, Position], limit: int, each: int
    ) -> Plan[dict[int, list[RecordedEvent]]]:
        """Read a share of each partition; those that have more get what the others left."""
        pages = yield from self.log_pages(after, each)
        room = limit - sum(map(len, pages.values()))
        more = {p: page[-1].position for p, page in pages.items() if len(page) == each}
        if more and room >= len(more):
            further = yield from self.log_pages(more, room // len(more))
            for partition, page in further.items():
                pages[partition] += page
        return pages

    def _pages_up_to_tails(
        self, after: Mapping[int, Position], limit: int
    ) -> Plan[dict[int, list[RecordedEvent]]]:
        """Read what the tails say must be there; ``HistoryGap`` if it is not."""
        tails = yield from self.tails()
        if any(not tails[p].n and not at.n for p, at in after.items()):
            yield from self.log.check_kept()  # this log never had an entry, or lost them all
        behind = {p: at for p, at in after.items() if at < tails[p]}
        return (yield from self.log.read(behind, limit, go_on=True))

    def report_reader(self, name: str, positions: Mapping[int, Position]) -> Plan[int]:
        """Note how far a follower of the log has come, so that retention waits for it.

        Gives the server's time in ms since 1970.
        """
        check_name("name", name)
        return single(report_reader(self.keys, name, positions))

    def due(
        self, now_ms: int | None, limit: int, lease_ms: int, *, stalls: bool = False
    ) -> Plan[list[DueTimer]]:
        """Take up to ``limit`` due timers under a lease: of all partitions, those due first.

        ``stalls`` asks for the deadlines of running runs instead of all others.
        """
        check_count("limit", limit)
        check_count("lease_ms", lease_ms)
        as_of = now_ms
        if as_of is None:
            (as_of,) = yield [commands.server_time()]
        index = self.keys.stalls if stalls else self.keys.due
        first = yield from self._due_first(index, as_of, limit)
        shares = Counter(partition for _, partition in first)
        leases = [
            lease_due(index(partition), now_ms, share, lease_ms)
            for partition, share in shares.items()
        ]
        taken = (yield leases) if leases else []
        return sorted((timer for page in taken for timer in page), key=lambda due: due.due_ms)

    def _due_first(
        self, index: Callable[[int], str], as_of_ms: int, limit: int
    ) -> Plan[list[tuple[int, int]]]:
        """Find up to ``limit`` timers that were due first: when each was, and its partition.

        Each partition is asked for twice its share; one that has more of the first, once more.
        """
        asked = list(range(self.keys.partitions))
        share = min(limit, 2 * -(-limit // len(asked)))
        pages: dict[int, list[int]] = {}
        while True:
            found = yield [due_times(index(p), as_of_ms, share) for p in asked]
            pages |= zip(asked, found, strict=True)
            first = sorted((ms, p) for p, page in pages.items() for ms in page)[:limit]
            full = [p for p in asked if len(pages[p]) == share < limit]
            asked = [p for p in full if pages[p][-1] <= first[-1][0]]
            if not asked:
                return first
            share = limit

    def settle(self, due: DueTimer, *, is_taken: bool = False) -> Plan[bool]:
        """Take a leased timer off its index; False if somebody else holds it by now.

        ``is_taken`` says that a worker took the run: one that may stall is watched from now on.
        """
        (settled,) = yield settle_timers(self.keys, [due], is_taken=is_taken)
        return bool(settled)

    def run_after(self, run_id: str, version: int) -> Plan[list[RecordedEvent]]:
        """Read a page of a run's events after a version; empty if there are none (yet)."""
        reader = self.reader(run_id, version)
        try:
            page = yield from reader.next_page()
        except RunNotFound:
            if version:
                raise LogRegressed(f"run {run_id!r}", f"version {version}", "nothing") from None
            return []
        if reader.end < version:
            raise LogRegressed(f"run {run_id!r}", f"version {version}", f"version {reader.end}")
        return page

    def wait(self, awaited: Awaited) -> Plan[RecordedEvent]:
        """Wait for an event of a run with a connection of its own; see ``SyncEventStore.wait``."""
        while True:
            left_s = awaited.left_s
            events = yield from self.run_after(awaited.run_id, awaited.version)
            if not events and not left_s:
                raise awaited.too_late()
            if not events:
                block_ms = max(1, min(int(left_s * 1000), self.settings.block_ms))
                coming = yield Wait(self._coming(awaited, block_ms))
                events = without_gaps(coming, awaited.version + 1)
            found = awaited.first(events)
            if found is not None:
                return found

    def _coming(self, awaited: Awaited, block_ms: int) -> Command[list[RecordedEvent]]:
        size = self.settings.page_events
        return commands.wait_for_run(
            self.keys, self.decoder, awaited.run_id, awaited.version, block_ms, size
        )
