"""Making, moving and deleting groups from outside, as plans.

Each changes one partition after another, each at one moment. Killed anywhere and run again, they
end as if they had run once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from eventstore.commands import Command
from eventstore.errors import InvalidArgument, LogRegressed
from eventstore.events import Position, check_name
from eventstore.groups import commands
from eventstore.groups.joining import join, unknown_group
from eventstore.groups.start import Start, check_start
from eventstore.groups.status.looking import Sighting, sight
from eventstore.groups.status.observation import lag_events
from eventstore.groups.status.target import Target, named, resolved
from eventstore.keys import Keys
from eventstore.operations import Operations
from eventstore.plan import Plan

MAX_RESETS = 20
"""So many resets of a group are remembered."""
_ATTEMPTS = 10
"""How often a change of a group's settings is tried while others change them."""


@dataclass(frozen=True, slots=True)
class Move:
    """Where a group goes in one partition."""

    partition: int
    came_from: Position | None
    """How far it had got; None if that is not known."""
    goes_to: Position
    """After this it goes on."""
    again: int
    """Events that will be handled again."""
    skipped: int
    """Events that will not be handled."""
    dropped: int
    """Events that members had in hand."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset did; with ``dry_run``, what it would do."""

    group: str
    to: str
    by: str
    dry_run: bool
    moves: tuple[Move, ...] = field(default=())

    @property
    def again(self) -> int:
        """Events that will be handled again."""
        return sum(move.again for move in self.moves)

    @property
    def skipped(self) -> int:
        """Events that will not be handled."""
        return sum(move.skipped for move in self.moves)


def create(operations: Operations, group: str, start: Start | datetime) -> Plan[None]:
    """Make a group. Raises ``InvalidArgument`` if it is there, or for a start that is not."""
    check_name("group name", group)
    if isinstance(start, datetime):
        start = yield from resolved(operations, start)
    check_start(start)
    (registered,) = yield [commands.read_registration(operations.keys, group)]
    if registered is not None:
        raise InvalidArgument(
            f"consumer group {group!r} is there already; reset moves it", group=group
        )
    yield from join(operations, group, start, create=True, is_said=True)


def reset(
    operations: Operations,
    group: str,
    to: Target,
    *,
    by: str,
    dry_run: bool,
    force: bool,
    drop_parked: bool,
) -> Plan[Reset]:
    """Let a group go on from another place; see ``Groups.reset``."""
    check_name("by", by)
    found = yield from sight(operations, group)
    positions = yield from resolved(operations, to)
    moves = tuple(_move(found, positions[partition]) for partition in sorted(positions))
    done = Reset(group, named(to), by, dry_run, moves)
    if dry_run:
        return done
    _check_nobody_lives(found, force=force)
    yield from _record(operations, found.now_ms, done)
    for move in moves:
        (epoch,) = yield [_reset(operations.keys, group, move.goes_to, drop_parked=drop_parked)]
        if epoch is None:
            raise LogRegressed(f"partition {move.partition}", move.goes_to, "a place before it")
    return done


def delete(operations: Operations, group: str, *, force: bool) -> Plan[None]:
    """Forget a group and all that it set aside; see ``Groups.delete``.

    Its registration goes last: until then it is known, and what is left can be deleted. What a
    creation that was cut short has left behind is deleted too.
    """
    keys = operations.keys
    check_name("group name", group)
    (registered,) = yield [commands.read_registration(keys, group)]
    if registered is not None:
        _check_nobody_lives((yield from sight(operations, group)), force=force)
    removed = yield [_forget(keys, partition, group) for partition in range(keys.partitions)]
    yield [Command(("DEL", keys.members(group)), int)]
    yield [Command(("HDEL", keys.groups, group), int)]
    if registered is None and not any(removed):
        raise (yield from unknown_group(operations, group))


def _check_nobody_lives(found: Sighting, *, force: bool) -> None:
    living = [member.name for member in found.members if member.live]
    if living and not force:
        raise InvalidArgument(
            f"group {found.name!r} has members that live: {', '.join(living)}; stop them first, "
            "or insist with force",
            group=found.name,
            members=tuple(living),
        )


def _move(found: Sighting, goes_to: Position) -> Move:
    seen = found.partitions[goes_to.partition]
    behind = lag_events(seen)
    moved = 0 if behind is None else goes_to.n - (seen.tail.n - behind)
    again, skipped = max(0, -moved), max(0, moved)
    return Move(goes_to.partition, seen.done, goes_to, again, skipped, seen.pending)


def _record(operations: Operations, at_ms: int, asked: Reset) -> Plan[None]:
    """Note a reset before it is done: none must go unrecorded."""
    keys, group = operations.keys, asked.group
    came_from = [str(move.came_from) for move in asked.moves if move.came_from is not None]
    record = {"at_ms": at_ms, "by": asked.by, "to": asked.to, "from": came_from}
    for _ in range(_ATTEMPTS):
        (before,) = yield [Command(("HGET", keys.groups, group), lambda reply: reply)]
        if before is None:
            raise (yield from unknown_group(operations, group))
        settings: dict[str, Any] = orjson.loads(before)
        settings["resets"] = [*settings.get("resets", ()), record][-MAX_RESETS:]
        words = (1, keys.groups, group, before, orjson.dumps(settings))
        (replaced,) = yield [Command(words, bool, script="status/replace_settings")]
        if replaced:
            return
    raise InvalidArgument(f"others keep changing group {group!r}; try again", group=group)


def _reset(keys: Keys, group: str, goes_to: Position, *, drop_parked: bool) -> Command[int | None]:
    partition = goes_to.partition
    names = (
        keys.log(partition),
        keys.tail(partition),
        keys.lease(partition, group),
        keys.parked(partition, group),
        keys.dead(partition, group),
        keys.redrive(partition, group),
    )
    words = (len(names), *names, group, goes_to.entry_id, "1" if drop_parked else "0")

    def decode(reply: Any) -> int | None:
        return None if reply is None else int(reply)

    return Command(words, decode, script="status/reset")


def _forget(keys: Keys, partition: int, group: str) -> Command[bool]:
    names = (
        keys.log(partition),
        keys.lease(partition, group),
        keys.parked(partition, group),
        keys.dead(partition, group),
        keys.redrive(partition, group),
    )
    return Command((len(names), *names, group), bool, script="status/forget_group")
