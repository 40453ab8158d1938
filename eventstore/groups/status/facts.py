"""How a consumer group stands: what is told of it, partition by partition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from eventstore.events import Position

Mode = Literal["live", "archive"]
"""Whether a group's next events come from the log, or have left it for the archive."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How a group stands in one partition, all seen at one moment."""

    partition: int
    owner: str | None
    """The member that holds, or last held, the partition; None when it was given back."""
    epoch: int
    """The fencing token: it rises whenever the partition changes hands."""
    leased_for_ms: int
    """How long the owner's lease still lasts; 0 when there is none, or it has ended."""
    mode: Mode
    done: Position | None
    """Everything up to here is handled, skipped or set aside; None if that is not known."""
    tail: Position
    """The end of the log."""
    lag_events: int | None
    """How many events lie between the two; None if ``problem`` says that it cannot be known."""
    lag_ms: int | None
    """How long ago the first of them was recorded; 0 when there are none."""
    lag_ms_is_least: bool
    """That event left the log: it is at least ``lag_ms`` old, and may be older."""
    pending: int
    """Events that were given to members and are not acknowledged."""
    oldest_pending_ms: int
    """The longest time since one of the first of them was last given to a member."""
    parked: int
    """Runs that are set aside, those to be redriven included."""
    redriving: int
    """Runs that were set aside and are to be handled after all."""
    stalled: bool
    """A member holds the partition, events wait, and it has not got on for too long."""
    problem: str | None
    """What is wrong with the group here, and what to do; None when nothing is."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member of a group, by its heartbeats."""

    name: str
    silent_ms: int
    """How long ago it was last heard."""
    live: bool
    """Whether it counts as alive: it was heard within a lease, or holds one."""
    partitions: tuple[int, ...]
    """What it holds by leases that last."""


@dataclass(frozen=True, slots=True)
class ResetRecord:
    """That somebody let the group go on from another place."""

    at: datetime
    by: str
    to: str
    """What was asked for: ``beginning``, ``end``, a time or a position."""
    came_from: tuple[Position, ...]
    """How far the group had got before, in each partition that was reset."""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How a consumer group stands. Its totals are properties."""

    name: str
    created: datetime
    start: str
    """Where it began: ``beginning``, ``end`` or ``position``."""
    members: tuple[MemberStatus, ...]
    partitions: tuple[PartitionLag, ...]
    resets: tuple[ResetRecord, ...]
    """The last twenty, the latest last."""

    @property
    def live_members(self) -> tuple[str, ...]:
        """The names of the members that count as alive."""
        return tuple(member.name for member in self.members if member.live)

    @property
    def lag_events(self) -> int | None:
        """How many events wait in all; None if that is not known of some partition."""
        return _known_sum(one.lag_events for one in self.partitions)

    @property
    def lag_ms(self) -> int | None:
        """How long ago the first of them was recorded; None if it is not known."""
        lags = [one.lag_ms for one in self.partitions]
        return None if None in lags else max((lag for lag in lags if lag is not None), default=0)

    @property
    def pending(self) -> int:
        """How many events were given to members and are not acknowledged."""
        return sum(one.pending for one in self.partitions)

    @property
    def oldest_pending_ms(self) -> int:
        """The longest that one of them is with a member."""
        return max((one.oldest_pending_ms for one in self.partitions), default=0)

    @property
    def parked(self) -> int:
        """How many runs are set aside, those to be redriven included."""
        return sum(one.parked for one in self.partitions)

    @property
    def redriving(self) -> int:
        """How many of them are to be handled after all."""
        return sum(one.redriving for one in self.partitions)

    @property
    def stalled(self) -> tuple[int, ...]:
        """The partitions whose owner does not get on."""
        return tuple(one.partition for one in self.partitions if one.stalled)

    @property
    def problems(self) -> dict[int, str]:
        """What is wrong, by partition."""
        return {one.partition: one.problem for one in self.partitions if one.problem is not None}


def _known_sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
