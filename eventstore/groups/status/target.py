"""Where a group is to go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from eventstore.clock import to_ms
from eventstore.commands import entry_before
from eventstore.errors import InvalidArgument
from eventstore.events import Position
from eventstore.groups.places import known_position
from eventstore.groups.start import check_start, starting_positions
from eventstore.keys import Keys
from eventstore.operations import Operations
from eventstore.plan import Plan, Recall

Target = Literal["beginning", "end"] | datetime | Position | Mapping[int, Position]
"""The first event ever; behind the last one; what was recorded from a time on; what comes after a
position, and in other partitions from its millisecond on; or what comes after each of several
positions, while partitions that are not named stay as they are."""


def resolved(operations: Operations, to: Target) -> Plan[dict[int, Position]]:
    """Give the position after which the group goes on, in each partition that is to be reset.

    Raises ``InvalidArgument`` for a position that this store does not have.
    """
    tails = yield from operations.tails()
    if isinstance(to, datetime):
        ms = max(0, to_ms(to))
        positions = {p: min(Position(p, ms, 0), tail) for p, tail in tails.items()}
    else:
        positions = starting_positions(check_start(to), tails)
        if isinstance(to, Mapping):
            positions = {partition: positions[partition] for partition in to}
    if not positions:
        raise InvalidArgument("name at least one position to go on from")
    exact = {}
    for partition, position in positions.items():
        at_time = position.ms and not position.n
        find = _entry_before if at_time else known_position
        exact[partition] = yield from find(operations.keys, position)
    return exact


def named(to: Target) -> str:
    """Write a target for the record."""
    if isinstance(to, datetime):
        return to.isoformat()
    if isinstance(to, Mapping):
        return ", ".join(str(to[partition]) for partition in sorted(to))
    return str(to)


def _entry_before(keys: Keys, at: Position) -> Plan[Position]:
    """Give the last entry before a millisecond: of the log, or of the archive."""
    (before,) = yield [entry_before(keys, at)]
    if before is None:
        before = yield Recall(lambda archive: archive.before(at))
    return before or Position(at.partition, 0, 0)
