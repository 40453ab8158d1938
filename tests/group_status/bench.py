"""Groups made by hand: leases, heartbeats and pending entries, past the code that is tested."""

from __future__ import annotations

import time
from typing import Any

from samples import notes

from eventstore import EventStore, Position

RUNS = ("run-4", "run-0")
"""Runs of partition 0 and of partition 1."""
HOUR_MS = 3_600_000


class Bench:
    """The keys of one group, written and read directly."""

    def __init__(self, store: EventStore, admin: Any, group: str = "mail") -> None:
        self.store, self.admin, self.group = store, admin, group
        self.keys = store.operations.keys
        assert [self.keys.partition_of(run) for run in RUNS] == [0, 1]

    async def append(self, *counts: int) -> list[list[Position]]:
        """Append so many events to each partition; give their positions."""
        found = []
        for run, count in zip(RUNS, counts, strict=False):
            done = await self.store.append(run, notes(count)) if count else None
            found.append(list(done.positions) if done else [])
        return found

    def now_ms(self) -> int:
        seconds, micros = self.admin.time()
        return int(seconds * 1000 + micros // 1000)

    def lease(self, partition: int, **fields: object) -> None:
        """Write fields of a lease."""
        self.admin.hset(self.keys.lease(partition, self.group), mapping=fields)

    def lease_of(self, partition: int) -> dict[str, str]:
        found = self.admin.hgetall(self.keys.lease(partition, self.group))
        return {name.decode(): value.decode() for name, value in found.items()}

    def beats(self, member: str, ago_ms: int = 0) -> None:
        """Let a member have been heard so long ago."""
        self.admin.zadd(self.keys.members(self.group), {member: self.now_ms() - ago_ms})

    def take(self, partition: int, count: int, member: str = "m") -> list[bytes]:
        """Let a member be given so many events; gives their entry ids."""
        log = self.keys.log(partition)
        found = self.admin.xreadgroup(self.group, member, {log: ">"}, count=count)
        return [entry_id for _, entries in found for entry_id, _ in entries]

    def park(self, partition: int, *runs: str) -> None:
        """Set runs aside."""
        for run in runs:
            self.admin.hset(self.keys.parked(partition, self.group), run, "1-0 1 1 parked")
            self.admin.xadd(self.keys.dead(partition, self.group), {"r": run})

    def group_info(self, partition: int) -> dict[str, Any] | None:
        """What the server says of the group."""
        log = self.keys.log(partition)
        found = self.admin.xinfo_groups(log) if self.admin.exists(log) else []
        return next((one for one in found if one["name"] == self.group.encode()), None)

    def own_keys(self) -> set[str]:
        """The keys of the group that are there."""
        named = [self.keys.members(self.group)]
        for partition in range(self.keys.partitions):
            for key_of in (self.keys.lease, self.keys.parked, self.keys.dead, self.keys.redrive):
                named.append(key_of(partition, self.group))  # noqa: PERF401 - reads better
        return {key for key in named if self.admin.exists(key)}


def age_of(position: Position) -> int:
    """How long ago an event was recorded, by this machine's clock: the server is on it."""
    return int(time.time() * 1000) - position.ms


def without_logs(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Leave out the logs: their dumps tell of groups that were there once."""
    return {key: value for key, value in found.items() if not key.endswith(b":log")}
