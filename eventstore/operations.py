"""What can be done with an open namespace, as plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from eventstore import commands
from eventstore.checks import check_count
from eventstore.commands import Head
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap, LogRegressed, RunNotFound
from eventstore.events import Position, RecordedEvent, check_run_id
from eventstore.keys import Keys
from eventstore.plan import Plan, Wait
from eventstore.run_reader import RunReader
from eventstore.settings import Settings
from eventstore.timers import DueTimer
from eventstore.waiting import Awaited


@dataclass(frozen=True, slots=True)
class Operations:
    """The plans of one open namespace."""

    keys: Keys
    decoder: Decoder
    settings: Settings

    def head(self, run_id: str) -> Plan[Head]:
        """Read a run's head. Raises ``RunNotFound``."""
        (head,) = yield [commands.head(self.keys, check_run_id(run_id))]
        if head is None:
            raise RunNotFound(run_id)
        return head  # type: ignore[no-any-return]

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
        pages = yield from self.log_pages(start, each)
        if not any(pages.values()):
            pages = yield from self._pages_up_to_tails(start, each)
        if not any(pages.values()) and block_ms is not None:
            found = yield Wait(commands.log_page(self.keys, self.decoder, start, each, block_ms))
            pages = {p: check_order(page, start[p]) for p, page in found.items()}
        return [event for page in pages.values() for event in page][:limit]

    def log_pages(
        self, after: Mapping[int, Position], limit: int
    ) -> Plan[dict[int, list[RecordedEvent]]]:
        """Read up to ``limit`` events of each partition after a position, and skip nothing.

        What was read last is read again with it: when it is gone, and was not trimmed, the server
        lost it, and what replaced it may stand before it (``LogRegressed``).
        """
        anchors = {p: Position(p, at.ms, max(at.n - 1, 0)) for p, at in after.items()}
        (found,) = yield [commands.log_page(self.keys, self.decoder, anchors, limit + 1)]
        pages = {}
        for partition, at in after.items():
            page = found.get(partition, [])
            if at.n and page and page[0].position == at:
                page = page[1:]
            elif at.n:
                yield from self._check_trimmed(at)
            pages[partition] = check_order(page[:limit], at)
        return pages

    def _pages_up_to_tails(
        self, after: Mapping[int, Position], limit: int
    ) -> Plan[dict[int, list[RecordedEvent]]]:
        """Read what the tails say must be there; ``HistoryGap`` if it is not."""
        tails = yield from self.tails()
        behind = {p: at for p, at in after.items() if at < tails[p]}
        pages = (yield from self.log_pages(behind, limit)) if behind else {}
        for partition, page in pages.items():
            if not page:
                where = f"partition {partition}"
                raise HistoryGap(where, f"entry {after[partition].n + 1}", "nothing")
        return pages

    def _check_trimmed(self, position: Position) -> Plan[None]:
        """Raise ``LogRegressed`` unless a position that is gone was trimmed from the front."""
        partition = position.partition
        first, tail = yield [
            commands.log_start(self.keys, partition),
            commands.tail(self.keys, partition),
        ]
        if tail < position or (first is not None and first <= position):
            raise LogRegressed(f"partition {partition}", position, tail)

    def check_tails(self, reached: Mapping[int, Position]) -> Plan[None]:
        """Raise ``LogRegressed`` if a log ends before a position that was reached."""
        tails = yield from self.tails()
        for partition, position in reached.items():
            if tails[partition] < position:
                raise LogRegressed(f"partition {partition}", position, tails[partition])

    def due(self, now_ms: int | None, limit: int, lease_ms: int) -> Plan[list[DueTimer]]:
        """Take up to ``limit`` due timers under a lease: of all partitions, those due first."""
        check_count("limit", limit)
        check_count("lease_ms", lease_ms)
        partitions = range(self.keys.partitions)
        as_of = now_ms
        if as_of is None:
            (as_of,) = yield [commands.server_time()]
        pages = yield [commands.due_times(self.keys, p, as_of, limit) for p in partitions]
        first = sorted((ms, p) for p, page in zip(partitions, pages, strict=True) for ms in page)
        shares = Counter(partition for _, partition in first[:limit])
        leases = [
            commands.lease_due(self.keys, partition, now_ms, share, lease_ms)
            for partition, share in shares.items()
        ]
        taken = (yield leases) if leases else []
        return sorted((timer for page in taken for timer in page), key=lambda due: due.due_ms)

    def settle(self, due: DueTimer) -> Plan[bool]:
        """Take a leased timer off the index; False if somebody else holds it by now."""
        (settled,) = yield [commands.settle_timer(self.keys, due)]
        return bool(settled)

    def run_after(self, run_id: str, version: int) -> Plan[list[RecordedEvent]]:
        """Read a page of a run's events after a version; empty if there are none (yet)."""
        size = self.settings.page_events
        page = commands.run_page(self.keys, self.decoder, run_id, version, None, size)
        return (yield [page])[0]  # type: ignore[no-any-return]

    def wait(self, awaited: Awaited) -> Plan[RecordedEvent]:
        """Wait for an event of a run with a connection of its own; see ``SyncEventStore.wait``."""
        while True:
            left_s = awaited.left_s
            block_ms = max(1, min(int(left_s * 1000), self.settings.block_ms))
            size = self.settings.page_events
            command = commands.wait_for_run(
                self.keys, self.decoder, awaited.run_id, awaited.version, block_ms, size
            )
            events = yield Wait(command)
            found = awaited.first(events)
            if found is not None:
                return found
            if not events and not left_s:
                raise awaited.too_late()


def check_order(page: list[RecordedEvent], after: Position) -> list[RecordedEvent]:
    """Give the page back if ``n`` rises by one. Raises ``HistoryGap`` or ``LogRegressed``."""
    # A position with a time and no n says from when to read; its first entry may be any.
    from_time = after.ms and not after.n and page
    expected = page[0].position.n if from_time else after.n + 1
    for event in page:
        if event.position.n < expected:
            raise LogRegressed(f"partition {after.partition}", after, event.position)
        if event.position.n > expected:
            raise HistoryGap(f"partition {after.partition}", f"entry {expected}", event.position)
        expected += 1
    return page
