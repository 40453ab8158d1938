"""Looking at groups from outside, as plans. Nothing is changed, and no service has to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from eventstore.clock import from_ms
from eventstore.commands import Command, server_time
from eventstore.errors import RunStoreError, UnknownGroup
from eventstore.events import Position, RecordedEvent, check_name
from eventstore.groups import commands
from eventstore.groups.joining import unknown_group
from eventstore.groups.status.facts import GroupStatus, MemberStatus, PartitionLag, ResetRecord
from eventstore.groups.status.observation import Observation, observe, partition_lag
from eventstore.keys import Keys
from eventstore.operations import Operations
from eventstore.plan import Plan, Recall

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive

LIVE_WITHIN_MS = 30_000
"""A member that was heard so lately counts as alive, where no lease tells how long one lasts."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A group as it was found: its settings, its members by last heartbeat, its partitions."""

    name: str
    settings: dict[str, Any]
    now_ms: int
    heard_ms: dict[str, int]
    partitions: tuple[Observation, ...]

    @property
    def members(self) -> tuple[MemberStatus, ...]:
        """The members that are known, those alive first."""
        holding: dict[str, list[int]] = {}
        for seen in self.partitions:
            if seen.owner is not None and seen.has_lease:
                holding.setdefault(seen.owner, []).append(seen.tail.partition)
        names = sorted(self.heard_ms.keys() | holding.keys())
        found = (self._member(name, tuple(holding.get(name, ()))) for name in names)
        return tuple(sorted(found, key=lambda member: not member.live))

    def _member(self, name: str, partitions: tuple[int, ...]) -> MemberStatus:
        # One that holds a lease and took itself off the list was heard when it took the lease.
        silent_ms = max(0, self.now_ms - self.heard_ms.get(name, self.now_ms))
        live = bool(partitions) or silent_ms < self._live_within_ms
        return MemberStatus(name, silent_ms, live, partitions)

    @property
    def _live_within_ms(self) -> int:
        """How long a silence members allow each other: a lease, which each heartbeat renews."""
        leases_ms = [
            seen.until_ms - self.heard_ms[seen.owner]
            for seen in self.partitions
            if seen.owner in self.heard_ms
        ]
        return max((length for length in leases_ms if length > 0), default=LIVE_WITHIN_MS)


def sight(operations: Operations, group: str) -> Plan[Sighting]:
    """Look at a group. Raises ``UnknownGroup``."""
    keys = operations.keys
    check_name("group name", group)
    settings, now_ms, heard_ms, *partitions = yield [
        commands.read_registration(keys, group),
        server_time(),
        _read_members(keys, group),
        *(observe(keys, partition, group) for partition in range(keys.partitions)),
    ]
    if settings is None:
        raise (yield from unknown_group(operations, group))
    return Sighting(group, settings, now_ms, heard_ms, tuple(partitions))


def show(operations: Operations, group: str) -> Plan[GroupStatus]:
    """Tell how a group stands. Raises ``UnknownGroup``."""
    found = yield from sight(operations, group)
    settings = found.settings
    return GroupStatus(
        name=group,
        created=from_ms(settings["created_ms"]),
        start=settings["start"],
        members=found.members,
        partitions=(yield from _lags(operations, found.partitions)),
        resets=tuple(_reset_record(record) for record in settings.get("resets", ())),
    )


def lag(operations: Operations, group: str) -> Plan[tuple[PartitionLag, ...]]:
    """Tell how far a group is behind in each partition. Raises ``UnknownGroup``."""
    found = yield from sight(operations, group)
    return (yield from _lags(operations, found.partitions))


def list_groups(operations: Operations) -> Plan[tuple[GroupStatus, ...]]:
    """Tell how each group stands, by name."""
    (names,) = yield [commands.group_names(operations.keys)]
    found = []
    for name in sorted(names):
        with suppress(UnknownGroup):  # deleted meanwhile
            found.append((yield from show(operations, name)))
    return tuple(found)


def _lags(
    operations: Operations, partitions: Sequence[Observation]
) -> Plan[tuple[PartitionLag, ...]]:
    if any(seen.is_trimmed for seen in partitions):
        partitions = (yield Recall(partial(_recalled, partitions))) or partitions
    stall_after_ms = operations.settings.stall_after_ms
    return tuple(partition_lag(seen, stall_after_ms) for seen in partitions)


def _recalled(partitions: Iterable[Observation], archive: Archive) -> list[Observation]:
    """Look up what has left the log and waits. An archive that is damaged hides nothing else."""
    found = []
    for seen in partitions:
        page: list[RecordedEvent] = []
        if seen.is_trimmed and seen.done is not None:
            with suppress(RunStoreError):
                page = archive.log_page(seen.done, 1, None)
        found.append(replace(seen, archived=page[0].position) if page else seen)
    return found


def _reset_record(record: dict[str, Any]) -> ResetRecord:
    came_from = tuple(Position.parse(text) for text in record["from"])
    return ResetRecord(from_ms(record["at_ms"]), record["by"], record["to"], came_from)


def _read_members(keys: Keys, group: str) -> Command[dict[str, int]]:
    words = ("ZRANGEBYSCORE", keys.members(group), "-inf", "+inf", "WITHSCORES")

    def decode(reply: list[bytes]) -> dict[str, int]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(errors="replace"): int(float(score)) for name, score in pairs}

    return Command(words, decode)
