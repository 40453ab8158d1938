"""What the archive asks of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from eventstore.archive.entry import Entry
from eventstore.commands import Command
from eventstore.errors import CorruptEvent
from eventstore.events import Position
from eventstore.keys import Keys
from eventstore.plan import Plan

T = TypeVar("T")


def entries_from(keys: Keys, at: Position, limit: int) -> Command[list[Entry]]:
    """Read up to ``limit`` entries of a log from a position on, itself included."""
    start = at.entry_id if at.n else "-"
    words = ("XRANGE", keys.log(at.partition), start, "+", "COUNT", limit)
    return Command(words, lambda reply: [Entry.of_log(at.partition, *entry) for entry in reply])


def entries_as_is(
    keys: Keys, after: Position, limit: int
) -> Command[list[tuple[Position, Entry | None]]]:
    """Read up to ``limit`` entries after a position, whatever they are; None for no event."""
    partition = after.partition

    def decode(reply: list[Any]) -> list[tuple[Position, Entry | None]]:
        found: list[tuple[Position, Entry | None]] = []
        for entry_id, fields in reply:
            try:
                entry = Entry.of_log(partition, entry_id, fields, as_is=True)
            except CorruptEvent:
                entry = None
            found.append((Position.at_entry(partition, entry_id), entry))
        return found

    return Command(
        ("XRANGE", keys.log(partition), f"({after.entry_id}", "+", "COUNT", limit), decode
    )


def entry_at(keys: Keys, at: Position) -> Command[Entry | None]:
    """Read the entry of a log at exactly this position; None if there is none."""
    words = ("XRANGE", keys.log(at.partition), at.entry_id, at.entry_id)
    return Command(words, lambda reply: Entry.of_log(at.partition, *reply[0]) if reply else None)


def run_as_is(
    keys: Keys, run_id: str, after: int, limit: int
) -> Command[list[tuple[int, Entry | None]]]:
    """Read up to ``limit`` entries of a run stream after a version; None for no event."""
    partition = keys.partition_of(run_id)

    def decode(reply: list[Any]) -> list[tuple[int, Entry | None]]:
        found: list[tuple[int, Entry | None]] = []
        for entry_id, fields in reply:
            try:
                entry = Entry.of_run(run_id, partition, entry_id, fields)
            except CorruptEvent:
                entry = None
            found.append((int(entry_id.partition(b"-")[0]), entry))
        return found

    words = ("XRANGE", keys.run(run_id), f"({after}-0", "+", "COUNT", limit)
    return Command(words, decode)


def ask(command: Command[T]) -> Plan[T]:
    """Make a plan of one command."""
    (result,) = yield [command]
    return result  # type: ignore[no-any-return]


def ask_all(commands: Sequence[Command[T]]) -> Plan[list[T]]:
    """Make a plan of commands that travel together."""
    return (yield commands)  # type: ignore[no-any-return]


def log_end(keys: Keys, partition: int) -> Command[Position | None]:
    """Read the last entry's place in a log; None for one without entries."""
    words = ("XREVRANGE", keys.log(partition), "+", "-", "COUNT", 1)
    return Command(
        words, lambda reply: Position.at_entry(partition, reply[0][0]) if reply else None
    )


def wake(keys: Keys, reached: Mapping[int, Position], block_ms: int) -> Command[bool]:
    """Wait up to ``block_ms`` for an entry after these positions; say whether there is one."""
    logs = [keys.log(partition) for partition in reached]
    ids = [position.entry_id for position in reached.values()]
    words: tuple[Any, ...] = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *logs, *ids)
    return Command(words, bool)
