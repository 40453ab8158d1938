"""Finds who watches for a signal, by index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventstore.events.conditions import find, hold
from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.watch_commands import watched_fields, watchers_page
from eventstore.watches import Watcher, is_plain, prefix_of
from replay.signals.signal import Signal

FIELDS_A_READ = 100
ENTRIES_A_READ = 500
READS_TOGETHER = 16


@dataclass(slots=True)
class _Cursor:
    partition: int
    prefix: str
    after: bytes | None = None


class Finder:
    """Gives the runs that watch for a signal, page by page, each once. Let it ``begin`` first."""

    def __init__(self, keys: Keys, signal: Signal) -> None:
        self._keys = keys
        self._signal = signal
        self._cursors: list[_Cursor] = []
        self._seen: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether there are no more pages."""
        return not self._cursors

    def next_page(self) -> Plan[list[str]]:
        """Read the next page of run ids. It may be empty and yet not the last one."""
        cursors, self._cursors = self._cursors[:READS_TOGETHER], self._cursors[READS_TOGETHER:]
        pages = yield [
            watchers_page(self._keys, c.partition, c.prefix, c.after, ENTRIES_A_READ)
            for c in cursors
        ]
        for cursor, page in zip(cursors, pages, strict=True):
            if len(page) == ENTRIES_A_READ:
                cursor.after = page[-1].member
                self._cursors.append(cursor)
        return self._new(watcher for page in pages for watcher in page)

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

    def begin(self) -> Plan[None]:
        """Learn by which fields watchers are found, and where those lie that ask for its values."""
        waiting: dict[int, str | None] = dict.fromkeys(range(self._keys.partitions))
        while waiting:
            pages = yield [
                watched_fields(self._keys, partition, self._signal.type, after, FIELDS_A_READ)
                for partition, after in waiting.items()
            ]
            asked, waiting = list(waiting), {}
            for partition, fields in zip(asked, pages, strict=True):
                self._cursors += [_Cursor(partition, prefix) for prefix in self._prefixes(fields)]
                if len(fields) == FIELDS_A_READ:
                    waiting[partition] = fields[-1]

    def _prefixes(self, fields: Iterable[str]) -> Iterable[str]:
        for field in fields:
            if not field:
                yield prefix_of(self._signal.type)
                continue
            value = find(self._signal.payload, field, default=())
            if is_plain(value):
                yield prefix_of(self._signal.type, field, value)
