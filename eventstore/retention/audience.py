"""Who must have passed an entry before it may leave the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventstore.commands import server_time
from eventstore.events import Position
from eventstore.keys import Keys
from eventstore.plan import Plan
from eventstore.readers import Reader, known_readers
from eventstore.retention import commands
from eventstore.retention.report import Holder


@dataclass(frozen=True, slots=True)
class Audience:
    """The groups and readers of a log, as far as they live."""

    groups: Mapping[str, bool]
    """Every group there is, and whether it has a live member."""
    readers: tuple[Reader, ...]
    """The readers that live."""

    def passed(self, archived: Position) -> Position:
        """Give what all readers have passed of what is archived of a partition."""
        return min([archived, *(reader.reached(archived.partition) for reader in self.readers)])

    def holder(self, trimmed: commands.Trimmed, archived: Position) -> Holder:
        """Say who holds back what is left in a log after this."""
        if trimmed.holder is not None:
            return Holder("group", list(self.groups)[trimmed.holder], trimmed.passed)
        for reader in self.readers:
            reached = reader.reached(archived.partition)
            if reached < archived and reached == trimmed.passed:
                return Holder("reader", reader.name, reached)
        return Holder("archive", "", archived)


def audience(keys: Keys, grace_ms: int) -> Plan[Audience]:
    """Find out who lives: by heartbeats and reports of the last ``grace_ms``, in server time."""
    now_ms, groups, readers = yield [
        server_time(),
        commands.group_names(keys),
        known_readers(keys),
    ]
    since_ms = now_ms - grace_ms
    asked = [commands.members_since(keys, group, since_ms) for group in groups]
    members = (yield asked) if asked else []
    return Audience(
        {group: count > 0 for group, count in zip(groups, members, strict=True)},
        tuple(reader for reader in readers if reader.at_ms >= since_ms),
    )
