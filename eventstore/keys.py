"""Every Redis key, and nothing else.

All keys of one partition share the hash tag ``{namespace:partition}``, so that whatever one
atomic operation touches lies in one slot of a Redis Cluster. What users name (run ids, group
names) stands only behind the tag.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from eventstore.events.identifiers import check_namespace

LAYOUT_VERSION = 1
"""Raised when the layout of keys or entries changes in a way older code cannot read."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace of so many partitions."""

    namespace: str
    partitions: int

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    def partition_of(self, run_id: str) -> int:
        """Give the partition of a run: CRC-32 of its id's UTF-8 bytes, modulo partitions."""
        return zlib.crc32(run_id.encode()) % self.partitions

    def tag(self, partition: int) -> str:
        """Give the prefix with the hash tag of a partition."""
        return f"{{{self.namespace}:{partition}}}"

    def log(self, partition: int) -> str:
        """Name the stream: the partition's log."""
        return f"{self.tag(partition)}:log"

    def tail(self, partition: int) -> str:
        """Name the string: the log's last ``<ms>-<n>``."""
        return f"{self.tag(partition)}:tail"

    def due(self, partition: int) -> str:
        """Name the sorted set: timers by the millisecond they are due."""
        return f"{self.tag(partition)}:due"

    def watches(self, partition: int) -> str:
        """Name the sorted set: runs that watch for signals, by type and by a value asked for."""
        return f"{self.tag(partition)}:watch"

    def receipt(self, name: str) -> str:
        """Name the string: that a signal of this name reached all who watched for it."""
        return f"{self.tag(self.partition_of(name))}:receipt:{name}"

    def stalls(self, partition: int) -> str:
        """Name the sorted set: deadlines for signs of life of running runs."""
        return f"{self.tag(partition)}:stalls"

    def run(self, run_id: str) -> str:
        """Name the stream: a hot run's own history."""
        return self.run_in(self.tag(self.partition_of(run_id)), run_id)

    def head(self, run_id: str) -> str:
        """Name the hash: a run's version, end, workflow, idempotency keys and open timers."""
        return self.head_in(self.tag(self.partition_of(run_id)), run_id)

    def run_in(self, tag: str, run_id: str) -> str:
        """Name a run's stream, where the tag of its partition is known."""
        return f"{tag}:run:{run_id}"

    def head_in(self, tag: str, run_id: str) -> str:
        """Name a run's head, where the tag of its partition is known."""
        return f"{tag}:head:{run_id}"

    def lease(self, partition: int, group: str) -> str:
        """Name the hash: who owns a partition for a group, until when, and what it has done."""
        return f"{self.tag(partition)}:lease:{group}"

    def parked(self, partition: int, group: str) -> str:
        """Name the hash: the runs a group set aside, each with its versions and its state."""
        return f"{self.tag(partition)}:parked:{group}"

    def dead(self, partition: int, group: str) -> str:
        """Name the stream: for each run a group set aside, the event that failed and why."""
        return f"{self.tag(partition)}:dead:{group}"

    def redrive(self, partition: int, group: str) -> str:
        """Name the list: the runs set aside that a group is asked to handle after all."""
        return f"{self.tag(partition)}:redrive:{group}"

    @property
    def meta(self) -> str:
        """Name the hash: what the namespace was created with."""
        return f"{self.namespace}:meta"

    @property
    def groups(self) -> str:
        """Name the hash: the settings of each consumer group."""
        return f"{self.namespace}:groups"

    @property
    def readers(self) -> str:
        """Name the hash: how far each follower of the log that is no group has come."""
        return f"{self.namespace}:readers"

    def members(self, group: str) -> str:
        """Name the sorted set: a group's members by the millisecond of their last heartbeat."""
        return f"{self.namespace}:members:{group}"
