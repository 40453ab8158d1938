"""The server calls about groups as a whole; see ``eventstore.commands``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from eventstore.commands import Command
from eventstore.events import Position
from eventstore.keys import Keys


def find_group(
    keys: Keys, partition: int, group: str, create_at: Position | None = None
) -> Command[Position | None]:
    """Read how far a group was served; create it after a position if it is missing."""
    entry_id = create_at.entry_id if create_at else ""
    return Command(
        (2, keys.log(partition), keys.lease(partition, group), group, entry_id),
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


def groups_lost(keys: Keys) -> Command[int | None]:
    """Read when the namespace was put back without its groups, in ms since 1970; else None."""
    return Command(("HGET", keys.meta, "put_back_ms"), lambda reply: int(reply) if reply else None)


def group_names(keys: Keys) -> Command[list[str]]:
    """Read the names of all registered groups."""
    return Command(("HKEYS", keys.groups), lambda reply: [name.decode() for name in reply])


def last_before(keys: Keys, partition: int, ms: int) -> Command[Position | None]:
    """Read the last entry from before a millisecond; None if the log holds none."""
    words = ("XREVRANGE", keys.log(partition), f"({ms}-0", "-", "COUNT", 1)
    return Command(
        words, lambda reply: Position.at_entry(partition, reply[0][0]) if reply else None
    )
