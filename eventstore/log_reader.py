"""Reads the log of all partitions as one, in the order of recording."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from eventstore.errors import InvalidArgument, LogRegressed
from eventstore.events import Position, RecordedEvent
from eventstore.operations import Operations
from eventstore.plan import Plan

After = Position | Mapping[int, Position] | None


class LogReader:
    """Reads everything that was recorded before it began, merged over the partitions.

    Each partition is in its own order; between partitions the server's milliseconds decide.
    """

    def __init__(
        self,
        operations: Operations,
        after: After,
        types: Collection[str] | None,
        workflow_id: str | None,
    ) -> None:
        self._operations = operations
        partitions = range(operations.keys.partitions)
        self._reached = {p: _start(after, p) for p in partitions}
        self._ready: dict[int, deque[RecordedEvent]] = {p: deque() for p in partitions}
        self._types = types
        self._workflow_id = workflow_id
        self._ends: dict[int, Position] | None = None
        self.done = False

    def next_page(self) -> Plan[list[RecordedEvent]]:
        """Read the next events in order; sets ``done``. Raises ``HistoryGap``, ``LogRegressed``."""
        if self._ends is None:
            log = self._operations.log
            yield from log.check_tails({p: at for p, at in self._reached.items() if at.n})
            yield from log.check_kept()
            self._ends = yield from self._operations.tails()
        yield from self._fill(self._ends)
        page = self._merge(self._ends)
        self.done = not self._open(self._ends) and not any(self._ready.values())
        return [event for event in page if self._wanted(event)]

    def _open(self, ends: Mapping[int, Position]) -> list[int]:
        return [p for p, at in self._reached.items() if at < ends[p]]

    def _fill(self, ends: Mapping[int, Position]) -> Plan[None]:
        empty = {p: self._reached[p] for p in self._open(ends) if not self._ready[p]}
        if not empty:
            return
        size = self._operations.settings.page_events
        pages = yield from self._operations.log.read(empty, size, go_on=True)
        for partition, page in pages.items():
            fitting = _up_to(ends[partition], page)
            self._ready[partition].extend(fitting)
            self._reached[partition] = fitting[-1].position

    def _merge(self, ends: Mapping[int, Position]) -> list[RecordedEvent]:
        """Take events in order until a partition must be read again."""
        page: list[RecordedEvent] = []
        while True:
            if any(not self._ready[p] for p in self._open(ends)):
                return page
            heads = [queue for queue in self._ready.values() if queue]
            if not heads:
                return page
            first = min(heads, key=lambda queue: (queue[0].position.ms, queue[0].position))
            page.append(first.popleft())

    def _wanted(self, event: RecordedEvent) -> bool:
        if self._types is not None and event.type not in self._types:
            return False
        return self._workflow_id is None or event.workflow_id == self._workflow_id


def _up_to(end: Position, page: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """Give the events of a page up to where the log ended when reading began.

    Raises ``LogRegressed`` when others have taken the places of some since: they are later
    though their numbers are not, or the other way round.
    """
    fitting = [event for event in page if event.position.n <= end.n]
    last = fitting[-1].position if fitting else page[0].position
    if last > end or (last.n == end.n and last != end) or not fitting:
        raise LogRegressed(f"partition {end.partition}", end, last)
    return fitting


def _start(after: After, partition: int) -> Position:
    """Say from where to read a partition.

    After one position, other partitions go on from its millisecond: what was recorded in that
    same millisecond may then come again, but nothing is missed.
    """
    if after is None:
        return Position(partition, 0, 0)
    if isinstance(after, Position):
        return after if after.partition == partition else Position(partition, after.ms, 0)
    if isinstance(after, Mapping):
        return after.get(partition, Position(partition, 0, 0))
    raise InvalidArgument(f"after must be a Position or positions by partition, not {after!r}")
