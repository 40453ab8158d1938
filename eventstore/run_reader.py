"""Reads one run, page by page, from Redis and from the archive as if they were one."""

from __future__ import annotations

from eventstore import commands
from eventstore.checks import check_count
from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap, LogRegressed, RunNotFound
from eventstore.events import RecordedEvent, check_run_id
from eventstore.keys import Keys
from eventstore.plan import Plan, Recall


class RunReader:
    """Reads a run page by page and misses nothing: versions rise by one up to the head."""

    def __init__(
        self,
        keys: Keys,
        decoder: Decoder,
        page_events: int,
        run_id: str,
        after: int = 0,
        limit: int | None = None,
        *,
        backwards: bool = False,
    ) -> None:
        check_count("after", after, least=0)
        if limit is not None:
            check_count("limit", limit)
        self._keys = keys
        self._decoder = decoder
        self._page_events = page_events
        self._run_id = check_run_id(run_id)
        self._after = after
        self._left = limit
        self._step = -1 if backwards else 1
        self._next = 0
        self.end = -1
        """The run's last version when it was first asked for; -1 before."""
        self.done = False

    def next_page(self) -> Plan[list[RecordedEvent]]:
        """Read the next page; sets ``done``.

        Raises ``RunNotFound``, ``HistoryGap``, and ``LogRegressed`` for a run that only the
        archive knows.
        """
        count = self._page_events if self._left is None else min(self._page_events, self._left)
        if self.end < 0:
            page = yield from self._first_page(count)
        else:
            (page,) = yield [self._page(count)]
        fitting = without_gaps(page, self._next, self._step)
        if not fitting and not self._at_end:
            fitting = yield from self._archived(page[0].version if page else None, count)
        self._next += self._step * len(fitting)
        if self._left is not None:
            self._left -= len(fitting)
        self.done = self._at_end or self._left == 0
        return fitting

    def _first_page(self, count: int) -> Plan[list[RecordedEvent]]:
        # The head is read first: what it counts must then be found.
        head = None
        while head is None:
            head, page = yield [commands.head(self._keys, self._run_id), self._page(count)]
            if head is None:
                yield from explain_missing(self._keys, self._run_id)
        self.end = head.version
        self._next = self._after + 1
        if self._step < 0:
            # More may have been appended between the two reads.
            self._next = max(head.version, page[0].version) if page else head.version
        return page  # type: ignore[no-any-return]

    @property
    def _at_end(self) -> bool:
        if self._step < 0:
            return self._next <= self._after
        return self._next > self.end

    def _range(self, stop: int | None = None) -> tuple[int, int | None]:
        """Give the versions that are still to be read: after which, and before which."""
        if self._step > 0:
            return max(self._after, self._next - 1), stop
        return max(self._after, stop or 0), self._next + 1 if self._next else None

    def _page(self, count: int) -> Command[list[RecordedEvent]]:
        after, before = self._range()
        return commands.run_page(
            self._keys, self._decoder, self._run_id, after, before, count, backwards=self._step < 0
        )

    def _archived(self, found: int | None, count: int) -> Plan[list[RecordedEvent]]:
        """Read from the archive what Redis holds no more, up to the version found there."""
        after, before = self._range(found)
        run_id, backwards = self._run_id, self._step < 0
        page = yield Recall(
            lambda archive: archive.run_page(run_id, after, before, count, backwards=backwards)
        )
        fitting = without_gaps(page or [], self._next, self._step)
        if not fitting:
            raise HistoryGap(f"run {run_id!r}", f"version {self._next}", found or "nothing")
        return fitting


def without_gaps(page: list[RecordedEvent], first: int, step: int = 1) -> list[RecordedEvent]:
    """Give the events of a page up to the first version that is missing from it."""
    for place, event in enumerate(page):
        if event.version != first + step * place:
            return page[:place]
    return page


def explain_missing(keys: Keys, run_id: str) -> Plan[None]:
    """Say why a run has no head: ``RunNotFound``, or ``LogRegressed`` if it was archived."""
    archived = yield Recall(lambda archive: archive.run_head(run_id))
    if archived is None:
        raise RunNotFound(run_id)
    # It may have begun, and have been archived, since its head was asked for.
    (head,) = yield [commands.head(keys, run_id)]
    if head is None:
        raise LogRegressed(f"run {run_id!r}", f"version {archived.version}", "nothing")
