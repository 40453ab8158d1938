"""The server calls of consumer groups, each described once; see ``eventstore.commands``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap
from eventstore.events import Position, RecordedEvent
from eventstore.keys import Keys

FORGET_MEMBER_MS = 86_400_000
"""A member's name leaves the list of members after so long a silence."""

Pages = dict[int, list[RecordedEvent]]


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was delivered to a member and not yet acknowledged."""

    position: Position
    member: str


@dataclass(frozen=True, slots=True)
class Membership:
    """Who speaks: a member of a group of one namespace."""

    keys: Keys
    group: str
    member: str

    def __str__(self) -> str:
        return f"member {self.member!r} of group {self.group!r}"

    def place(self, partition: int) -> str:
        """Name a partition of this group in messages."""
        return f"group {self.group!r}, partition {partition}"


def find_group(
    keys: Keys, partition: int, group: str, create_at: Position | None = None
) -> Command[Position | None]:
    """Read how far a group was served; create it after a position if it is missing."""
    entry_id = create_at.entry_id if create_at else ""
    return Command(
        (1, keys.log(partition), group, entry_id),
        lambda reply: Position.at_entry(partition, reply) if reply else None,
        script="group",
    )


def read_registration(keys: Keys, group: str) -> Command[dict[str, Any] | None]:
    """Read a group's settings; None if it is not registered."""
    return Command(
        ("HGET", keys.groups, group), lambda reply: orjson.loads(reply) if reply else None
    )


def register(keys: Keys, group: str, settings: Mapping[str, Any]) -> Command[bool]:
    """Register a group with its settings, unless it is registered already."""
    return Command(("HSETNX", keys.groups, group, orjson.dumps(settings)), bool)


def group_names(keys: Keys) -> Command[list[str]]:
    """Read the names of all registered groups."""
    return Command(("HKEYS", keys.groups), lambda reply: [name.decode() for name in reply])


def read_new(
    who: Membership, decoder: Decoder, partitions: Iterable[int], limit: int
) -> Command[Pages]:
    """Take up to ``limit`` events of each partition that no member has been given."""
    return _read_group(who, decoder, dict.fromkeys(partitions, ">"), limit)


def read_own(
    who: Membership, decoder: Decoder, after: Mapping[int, Position], limit: int
) -> Command[Pages]:
    """Read up to ``limit`` events of each partition that this member has after a position."""
    ids = {partition: position.entry_id for partition, position in after.items()}
    return _read_group(who, decoder, ids, limit)


def _read_group(
    who: Membership, decoder: Decoder, ids: Mapping[int, str], limit: int
) -> Command[Pages]:
    partitions = {who.keys.log(partition).encode(): partition for partition in ids}

    def decode(reply: Any) -> Pages:
        pages: Pages = {}
        for key, entries in reply or ():
            partition = partitions[key]
            pages[partition] = [_event(who, decoder, partition, *entry) for entry in entries]
        return pages

    words = ("XREADGROUP", "GROUP", who.group, who.member, "COUNT", limit)
    return Command((*words, "STREAMS", *partitions, *ids.values()), decode)


def _event(
    who: Membership, decoder: Decoder, partition: int, entry_id: bytes, fields: list[bytes] | None
) -> RecordedEvent:
    if fields is None:
        raise trimmed(who, partition, entry_id)
    return decoder.log_entry(partition, entry_id, fields)


def trimmed(who: Membership, partition: int, entry_id: bytes) -> HistoryGap:
    """Say that an event left the log before it was handled."""
    expected = f"pending entry {entry_id.decode()}"
    return HistoryGap(who.place(partition), expected, "nothing, it was trimmed unhandled")


def wait_for_news(keys: Keys, after: Mapping[int, Position], block_ms: int) -> Command[bool]:
    """Wait until a log has an entry after its position; takes nothing."""
    logs = [keys.log(partition) for partition in after]
    ids = [position.entry_id for position in after.values()]
    return Command(("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *logs, *ids), bool)


def is_in_log(who: Membership, position: Position) -> Command[bool]:
    """Ask whether an entry is there."""
    log, entry_id = who.keys.log(position.partition), position.entry_id
    return Command(("XRANGE", log, entry_id, entry_id), bool)


def acknowledge(who: Membership, partition: int, positions: Sequence[Position]) -> Command[int]:
    """Acknowledge events of one partition."""
    ids = [position.entry_id for position in positions]
    return Command(("XACK", who.keys.log(partition), who.group, *ids), int)


def idle_pending(
    who: Membership, partition: int, idle_ms: int, after: Position | None, limit: int
) -> Command[list[Pending]]:
    """Read up to ``limit`` entries that have been pending for ``idle_ms`` or more."""
    low = f"({after.entry_id}" if after else "-"
    words = ("XPENDING", who.keys.log(partition), who.group, "IDLE", idle_ms, low, "+", limit)

    def decode(reply: list[list[Any]]) -> list[Pending]:
        return [
            Pending(Position.at_entry(partition, row[0]), row[1].decode(errors="replace"))
            for row in reply
        ]

    return Command(words, decode)


def claim(
    who: Membership, decoder: Decoder, partition: int, idle_ms: int, positions: Sequence[Position]
) -> Command[list[RecordedEvent]]:
    """Take pending entries over and give their events. Raises ``HistoryGap`` for lost ones."""
    ids = [position.entry_id for position in positions]

    def decode(reply: list[list[Any]]) -> list[RecordedEvent]:
        taken, missing = reply
        if missing:
            raise trimmed(who, partition, missing[0])
        return [decoder.log_entry(partition, *entry) for entry in taken]

    words = (1, who.keys.log(partition), who.group, who.member, idle_ms, *ids)
    return Command(words, decode, script="claim")


def beat(who: Membership, silent_ms: int) -> Command[frozenset[str]]:
    """Report this member as alive; gives the names of the members that are."""
    words = (1, who.keys.members(who.group), who.member, silent_ms, FORGET_MEMBER_MS)
    return Command(words, lambda reply: frozenset(n.decode() for n in reply), script="beat")


def leave(who: Membership) -> Command[int]:
    """Take this member off the list of members."""
    return Command(("ZREM", who.keys.members(who.group), who.member), int)
