"""What the server says of a group in one partition, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.events import Position
from eventstore.groups.status.facts import PartitionLag
from eventstore.keys import Keys

FIRST_PENDING = 100
"""Of so many of the first pending entries the longest wait is told."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A group in one partition, as the server had it at one moment."""

    now_ms: int
    tail: Position
    log_start: Position | None
    is_there: bool
    """Whether the log has the group."""
    owner: str | None
    epoch: int
    until_ms: int
    done: Position | None
    moved_ms: int
    mode: str
    pending: int
    oldest_pending_ms: int
    ahead: tuple[Position, ...]
    """The first two entries of the log from ``done`` on."""
    parked: int
    redriving: int
    archived: Position | None = None
    """The first entry behind ``done``, from the archive, where it has left the log."""

    @property
    def has_lease(self) -> bool:
        """Whether somebody holds the partition."""
        return self.owner is not None and self.until_ms > self.now_ms

    @property
    def next(self) -> Position | None:
        """The first entry of the log behind ``done``; None if there is none."""
        return next((at for at in self.ahead if self.done is None or at > self.done), None)

    @property
    def is_trimmed(self) -> bool:
        """Whether events wait the first of which has left the log."""
        if self.done is None or self.tail <= self.done:
            return False
        if self.next is None:
            return True
        if self.done.n or not self.done.ms:
            return self.next.n > self.done.n + 1
        # A place with a time and no n: what follows is there if the log reaches back so far.
        return self.next.n > 1 and self.next == self.log_start


def observe(keys: Keys, partition: int, group: str) -> Command[Observation]:
    """Read how a group stands in one partition."""

    def place(entry_id: bytes) -> Position | None:
        return Position.at_entry(partition, entry_id) if entry_id else None

    def decode(reply: list[Any]) -> Observation:
        now, tail, log_start, delivered, lease, pending, longest, ahead, parked, redriving = reply
        owner, epoch, until, done, moved, mode = lease
        return Observation(
            now_ms=int(now),
            tail=place(tail) or Position(partition, 0, 0),
            log_start=place(log_start),
            is_there=bool(delivered),
            owner=owner.decode(errors="replace") or None,
            epoch=int(epoch or 0),
            until_ms=int(until or 0),
            done=place(done),
            moved_ms=int(moved or 0),
            mode=mode.decode(),
            pending=pending,
            oldest_pending_ms=longest,
            ahead=tuple(Position.at_entry(partition, entry_id) for entry_id in ahead),
            parked=parked,
            redriving=redriving,
        )

    names = (
        keys.log(partition),
        keys.tail(partition),
        keys.lease(partition, group),
        keys.parked(partition, group),
        keys.redrive(partition, group),
    )
    return Command((len(names), *names, group, FIRST_PENDING), decode, script="status/observe")


def partition_lag(seen: Observation, stall_after_ms: int) -> PartitionLag:
    """Say how a group stands in a partition.

    Lag comes from positions, never from what the server counts for the group: after a trim, or
    a reset, that is missing or wrong.
    """
    problem = _problem(seen)
    events = lag_events(seen) if problem is None else None
    lag_ms, is_least = _lag_ms(seen, events)
    return PartitionLag(
        partition=seen.tail.partition,
        owner=seen.owner,
        epoch=seen.epoch,
        leased_for_ms=max(0, seen.until_ms - seen.now_ms) if seen.has_lease else 0,
        mode="archive" if seen.mode == "archive" or (events and seen.is_trimmed) else "live",
        done=seen.done,
        tail=seen.tail,
        lag_events=events,
        lag_ms=lag_ms,
        lag_ms_is_least=is_least,
        pending=seen.pending,
        oldest_pending_ms=seen.oldest_pending_ms,
        parked=seen.parked,
        redriving=seen.redriving,
        stalled=bool(events and seen.has_lease) and _waits_ms(seen, lag_ms) >= stall_after_ms,
        problem=problem,
    )


def _waits_ms(seen: Observation, lag_ms: int | None) -> int:
    """Say how long the owner could have got on, and did not: an idle group did nothing wrong."""
    return min(seen.now_ms - seen.moved_ms, lag_ms or 0)


def _problem(seen: Observation) -> str | None:
    if not seen.is_there:
        return (
            "the group is missing here: the server lost it, or a deletion was cut short; "
            "reset the group to a position, or delete it"
        )
    if seen.done is None:
        return "how far the group got is not known here; reset it to a position"
    if seen.done > seen.tail:
        return (
            f"the group was served up to {seen.done} and the log ends at {seen.tail}: the server "
            "lost acknowledged writes; put back what the archive holds, then reset the group"
        )
    if _is_replaced(seen, seen.done):
        return (
            f"the entry {seen.done}, which the group has handled, is not in the log: the server "
            "lost acknowledged writes and others took their place; reset the group"
        )
    return None


def _is_replaced(seen: Observation, done: Position) -> bool:
    """Say whether what the group handled last is gone, though it was not trimmed."""
    if not done.n or seen.log_start is None or seen.log_start > done:
        return False
    return done not in seen.ahead


def lag_events(seen: Observation) -> int | None:
    """Count the events behind ``done``: each has the next number. None if it is not known."""
    if seen.done is None:
        return None
    if seen.done.n or not seen.done.ms:
        return seen.tail.n - seen.done.n
    return seen.tail.n - seen.next.n + 1 if seen.next else 0


def _lag_ms(seen: Observation, events: int | None) -> tuple[int | None, bool]:
    """Say how old the first event that waits is, and whether it may be older still."""
    if not events:
        return events, False
    known = seen.archived or seen.next or seen.tail
    return max(0, seen.now_ms - known.ms), seen.is_trimmed and seen.archived is None
