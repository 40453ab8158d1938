"""The calls that retention makes, described once; see ``eventstore.commands``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.events import Position
from eventstore.keys import Keys


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What one call removed. ``holder`` is the place of the group that holds back the rest."""

    entries: int
    more: bool
    holder: int | None
    passed: Position


def group_names(keys: Keys) -> Command[list[str]]:
    """Read the names of all groups, sorted."""
    return Command(("HKEYS", keys.groups), lambda reply: sorted(name.decode() for name in reply))


def members_since(keys: Keys, group: str, since_ms: int) -> Command[int]:
    """Count the members of a group that were heard of since a time."""
    return Command(("ZCOUNT", keys.members(group), since_ms, "+inf"), int)


def trim(
    keys: Keys,
    archived: Position,
    passed: Position,
    groups: Mapping[str, bool],
    max_entries: int,
) -> Command[Trimmed | None]:
    """Remove up to ``max_entries`` from the front of a log, or count them if that is 0.

    ``passed`` is what all readers have passed; ``groups`` says of each whether it has a live
    member. Gives None for a log that is not the one that was archived.
    """
    partition = archived.partition

    def decode(reply: list[Any]) -> Trimmed | None:
        if reply[0] < 0:
            return None
        entries, more, holder, at = reply
        held_by = holder - 1 if holder else None
        return Trimmed(entries, bool(more), held_by, Position.at_entry(partition, at))

    leases = [keys.lease(partition, group) for group in groups]
    names = (keys.log(partition), keys.tail(partition), *leases)
    flags = ["1" if is_live else "0" for is_live in groups.values()]
    words = (len(names), *names, archived.entry_id, passed.entry_id, max_entries, *flags)
    return Command(words, decode, script="trim")


def log_length(keys: Keys, partition: int) -> Command[int]:
    """Count the entries of a log."""
    return Command(("XLEN", keys.log(partition)), int)


def drop(
    keys: Keys, partition: int, runs: Sequence[tuple[str, int]], *, dry_run: bool
) -> Command[list[bool]]:
    """Drop run streams of one partition, each if its head has the version that was archived."""
    tag = keys.tag(partition)
    names = [name for run, _ in runs for name in (keys.run_in(tag, run), keys.head_in(tag, run))]
    versions = [version for _, version in runs]
    words = (len(names), *names, "1" if dry_run else "0", *versions)
    return Command(words, lambda reply: [bool(each) for each in reply], script="drop")


def blank(keys: Keys, group: str, run_id: str) -> Command[bool]:
    """Forget what the errors of a group told of a run's content; the run stays set aside."""
    partition = keys.partition_of(run_id)
    names = (keys.parked(partition, group), keys.dead(partition, group))
    return Command((2, *names, run_id), bool, script="parking/blank")


def scrub(stream: str, max_entries: int) -> Command[bool]:
    """Write a short stream anew, without the bytes of removed entries; False if it cannot be."""
    return Command((1, stream, max_entries), bool, script="scrub")


def used_memory() -> Command[int]:
    """Read how many bytes the server's data take."""

    def decode(reply: bytes) -> int:
        found = re.search(rb"^used_memory:(\d+)", reply, re.MULTILINE)
        return int(found[1]) if found else 0

    return Command(("INFO", "memory"), decode)
