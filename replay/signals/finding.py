"""Finds who watches for a signal, by index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from eventstore.commands import Command
from eventstore.events.conditions import find, hold
from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.watch_commands import FoundBy, found_by, watchers_page
from eventstore.watches import Watcher, is_plain, prefix_of
from replay.signals.signal import Signal

ENTRIES_A_READ = 500
FIELDS_A_READ = 16
READS_TOGETHER = 16
FIELDS_TOLD = 32
"""So many values of a payload go along with the first question; who asks for others is found, too,
in one more exchange."""


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
        self._begins = {"": prefix_of(signal.type)}
        for field, value in islice(_plain_fields(signal.payload), FIELDS_TOLD):
            self._begins[field] = prefix_of(signal.type, field, value)
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

        Together with it goes the question by which fields others may be found.
        """
        cursors, self._cursors = self._cursors[:READS_TOGETHER], self._cursors[READS_TOGETHER:]
        asked: list[Command[Any]] = [
            found_by(
                self._keys,
                partition,
                self._signal.type,
                after,
                self._begins,
                FIELDS_A_READ,
                ENTRIES_A_READ,
            )
            for partition, after in self._fields.items()
        ]
        asked += [
            watchers_page(self._keys, c.partition, c.prefix, c.after, ENTRIES_A_READ)
            for c in cursors
        ]
        replies: list[Any] = yield asked
        asking, self._fields = self._fields, {}
        watchers = [
            watcher
            for partition, found in zip(asking, replies, strict=False)
            for watcher in self._take_fields(partition, found)
        ]
        for cursor, (page, last) in zip(cursors, replies[len(asking) :], strict=True):
            watchers += page
            if last is not None:
                self._cursors.append(_Cursor(cursor.partition, cursor.prefix, last))
        return self._new(watchers)

    def _take_fields(self, partition: int, found: list[FoundBy]) -> Iterator[Watcher]:
        """Give the watchers that came; note where more lie that ask for what the payload has."""
        for by in found:
            page, last = by.page or ([], None)
            yield from page
            prefix = self._prefix(by.field)
            if prefix is not None and (by.page is None or last is not None):
                self._cursors.append(_Cursor(partition, prefix, last))
        if len(found) == FIELDS_A_READ:
            self._fields[partition] = found[-1].field

    def _prefix(self, field: str) -> str | None:
        if field in self._begins:
            return self._begins[field]
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


def _plain_fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the plain values in a payload with the paths that lead to them."""
    if is_plain(value):
        if path:
            yield path, value
        return
    named = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, inner in named:
        if "." not in str(name):  # else the path leads elsewhere
            yield from _plain_fields(inner, f"{path}.{name}" if path else str(name))
