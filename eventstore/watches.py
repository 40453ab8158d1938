"""Watches: which runs wait for signals of which type, kept in an index to find them by.

An entry is set and cleared only by an append, in the append's own script, like a timer. So the
index always agrees with the log: a pause that was resumed watches for nothing.

Of the conditions of a watch, the first that asks for equality with a plain value is part of the
entry's name. So a signal finds those that wait for its very order number without reading the
others, however many there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.events.new_event import NewEvent

WATCH = "watch"
UNWATCH = "unwatch"

Condition = Mapping[str, Any]
"""A condition as events carry it: ``field``, ``op``, ``value``."""

WATCHING = frozenset({"run.paused", "run.resumed", "signal.watched", "signal.unwatched"})
"""The types of events that may change watches."""
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Watcher:
    """An entry of the index: a run that takes signals of a type on some conditions."""

    run_id: str
    conditions: Sequence[Condition]

    @classmethod
    def parse(cls, member: bytes) -> Watcher:
        """Read an entry of the index. Raises ``ValueError`` if it is none."""
        run_id, _, _, conditions = orjson.loads(member.split(b"\0", 3)[-1])
        if not isinstance(run_id, str) or not isinstance(conditions, list):
            raise ValueError("this is no entry of the index")  # noqa: TRY004 - as for bad JSON
        return cls(run_id, conditions)


@dataclass(frozen=True, slots=True)
class WatchChange:
    """What an append does to the index.

    ``WATCH``: the holder has these entries, and no others; ``UNWATCH``: it has none.
    """

    operation: str
    holder: str
    """Which pause (``p:<pause id>``) or watch (``s:<watch id>``) of the run the entries are of."""
    members: tuple[str, ...] = ()


def watch_changes(run_id: str, events: Sequence[NewEvent]) -> list[WatchChange]:
    """Give the changes of the index that these events of a run cause.

    The end of a run clears all of its entries, in the script.
    """
    changes: dict[str, WatchChange] = {}
    for event in events:
        if event.type not in WATCHING:
            continue
        data = event.data
        if event.type in ("run.paused", "run.resumed"):
            holder = f"p:{data['pause_id']}"
            watched = data.get("wait_for") if event.type == "run.paused" else None
        else:
            holder = f"s:{data['watch_id']}"
            watched = [data] if event.type == "signal.watched" else None
        changes[holder] = _change(run_id, holder, watched or ())
    return list(changes.values())


def _change(run_id: str, holder: str, watched: Sequence[Mapping[str, Any]]) -> WatchChange:
    members = [
        _member(run_id, holder, number, each["type"], each.get("conditions") or ())
        for number, each in enumerate(watched)
    ]
    return WatchChange(WATCH if members else UNWATCH, holder, tuple(members))


def _member(
    run_id: str, holder: str, number: int, signal_type: str, conditions: Sequence[Condition]
) -> str:
    """Name an entry. JSON has no control characters, and neither types nor fields have any."""
    about = orjson.dumps([run_id, holder, number, conditions]).decode()
    for condition in conditions:
        if condition["op"] == "==" and isinstance(condition.get("value"), _PLAIN):
            field = condition["field"]
            return f"{prefix_of(signal_type, field, condition.get('value'))}{about}"
    return f"{prefix_of(signal_type)}{about}"


def prefix_of(signal_type: str, field: str = "", value: Any = None) -> str:
    """Give how the names of entries begin that ask for equality of a field with a plain value.

    Without a field: of those that ask for none.
    """
    digest = _digest(value) if field else ""
    return f"{signal_type}\0{field}\0{digest}\0"


def is_plain(value: object) -> bool:
    """Say whether a value can be found by index: text, a number, true, false or null."""
    return isinstance(value, _PLAIN)


def _digest(value: Any) -> str:
    """Tell values apart as JSON does: 1 is 1.0, but neither "1" nor true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return hashlib.blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()
