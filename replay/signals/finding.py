"""Finds who watches for a signal, by index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.events.conditions import find, hold
from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.watch_commands import next_field, watchers_page
from eventstore.watches import Watcher, is_plain, prefix_of
from replay.signals.signal import Signal

ENTRIES_A_READ = 500
READS_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class _Cursor:
    partition: int
    prefix: str
    after: bytes | None = None


class Finder:
    """Gives the runs that watch for a signal, page by page, each once."""

    def __init__(self, keys: Keys, signal: Signal) -> None:
        self._keys = keys
        self._signal = signal
        self._fields: dict[int, str | None] = dict.fromkeys(range(keys.partitions))
        """The field that was found last in each partition which may have further ones."""
        self._cursors: list[_Cursor] = []
        self._seen: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether there are no more pages."""
        return not self._cursors and not self._fields

    def next_page(self) -> Plan[list[str]]:
        """Read the next page of run ids. It may be empty and yet not the last one.

        Together with it goes the question by which field others may be found.
        """
        cursors, self._cursors = self._cursors[:READS_TOGETHER], self._cursors[READS_TOGETHER:]
        asked: list[Command[Any]] = [
            next_field(self._keys, partition, self._signal.type, after)
            for partition, after in self._fields.items()
        ]
        asked += [
            watchers_page(self._keys, c.partition, c.prefix, c.after, ENTRIES_A_READ)
            for c in cursors
        ]
        replies: list[Any] = yield asked
        pages = replies[len(self._fields) :]
        self._take_fields(replies[: len(self._fields)])
        for cursor, (_, last) in zip(cursors, pages, strict=True):
            if last is not None:
                self._cursors.append(_Cursor(cursor.partition, cursor.prefix, last))
        return self._new(watcher for page, _ in pages for watcher in page)

    def _take_fields(self, found: Iterable[str | None]) -> None:
        """Note where those watchers lie that ask for the payload's value of a field."""
        fields = dict(zip(self._fields, found, strict=True))
        self._fields = {p: field for p, field in fields.items() if field is not None}
        for partition, field in self._fields.items():
            prefix = self._prefix(field or "")
            if prefix is not None:
                self._cursors.append(_Cursor(partition, prefix))

    def _prefix(self, field: str) -> str | None:
        if not field:
            return prefix_of(self._signal.type)
        value = find(self._signal.payload, field, default=())
        return prefix_of(self._signal.type, field, value) if is_plain(value) else None

    def _new(self, watchers: Iterable[Watcher]) -> list[str]:
        """Give those whose conditions hold.

        A run that went on meanwhile and watches again is not given twice.
        """
        found: dict[str, None] = {}
        for watcher in watchers:
            if watcher.run_id in self._seen or not hold(watcher.conditions, self._signal.payload):
                continue
            self._seen.add(watcher.run_id)
            found[watcher.run_id] = None
        return list(found)
