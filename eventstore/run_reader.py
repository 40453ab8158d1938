"""Reads one run, page by page."""

from __future__ import annotations

from typing import Any

from eventstore import commands
from eventstore.checks import check_count
from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap, RunNotFound
from eventstore.events import RecordedEvent, check_run_id
from eventstore.keys import Keys
from eventstore.plan import Plan


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
        self._backwards = backwards
        self._next: int | None = None
        self._end: int | None = None
        self.done = False

    def next_page(self) -> Plan[list[RecordedEvent]]:
        """Read the next page; sets ``done``. Raises ``RunNotFound`` and ``HistoryGap``."""
        count = self._page_events if self._left is None else min(self._page_events, self._left)
        if self._end is None:
            # The head is read first: what it counts must then be found.
            head, page = yield [self._head(), self._page(count)]
            if head is None:
                raise RunNotFound(self._run_id)
            self._end = head.version
            self._next = head.version if self._backwards else self._after + 1
        else:
            (page,) = yield [self._page(count)]
        return self._checked(page)

    def _head(self) -> Command[Any]:
        return commands.head(self._keys, self._run_id)

    def _page(self, count: int) -> Command[list[RecordedEvent]]:
        after, before = self._after, None
        if self._next is not None:
            after, before = (after, self._next + 1) if self._backwards else (self._next - 1, None)
        return commands.run_page(
            self._keys, self._decoder, self._run_id, after, before, count,
            backwards=self._backwards,
        )  # fmt: skip

    def _checked(self, page: list[RecordedEvent]) -> list[RecordedEvent]:
        assert self._next is not None and self._end is not None  # noqa: PT018, S101 - for mypy
        if self._backwards and page and page[0].version > self._next:
            self._next = page[0].version  # appended between the two reads
        step = -1 if self._backwards else 1
        for event in page:
            if event.version != self._next:
                raise self._gap(event.version)
            self._next += step
        if self._left is not None:
            self._left -= len(page)
        at_end = self._next <= self._after if self._backwards else self._next > self._end
        if not page and not at_end:
            raise self._gap("nothing")
        self.done = at_end or self._left == 0
        return page

    def _gap(self, found: object) -> HistoryGap:
        return HistoryGap(f"run {self._run_id!r}", f"version {self._next}", found)
