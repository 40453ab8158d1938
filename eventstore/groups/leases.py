"""The server calls of a member that holds partitions by lease; see ``eventstore.commands``.

Every call that changes something for the group is fenced: the server refuses it when the lease
went to somebody else since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.errors import HistoryGap
from eventstore.events import Position, RecordedEvent
from eventstore.groups.hold import Hold, Membership
from eventstore.keys import Keys

FORGET_MEMBER_MS = 86_400_000
"""A member's name leaves the list of members after so long a silence."""

Pages = dict[int, list[RecordedEvent]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease that was just taken, and how far the group is in its partition."""

    hold: Hold
    done: Position
    """Everything up to here is through."""
    delivered: Position
    """Everything up to here is through or pending."""
    from_archive: bool
    """Whether events behind ``done`` have left the log."""
    is_clean: bool
    """Whether the last owner left in order, with nothing being handled."""
    ahead: Position
    """How far the last owner had looked ahead in the archive."""
    tail: Position
    doubted: Position
    """Up to here, events may have been read ahead, and never begun, by an owner that died."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event that was pending, and how often it counts as delivered."""

    event: RecordedEvent
    deliveries: int


def beat(who: Membership, silent_ms: int) -> Command[frozenset[str]]:
    """Report this member as alive; gives the names of the members that are."""
    words = (1, who.keys.members(who.group), who.member, silent_ms, FORGET_MEMBER_MS)
    return Command(words, lambda reply: frozenset(n.decode() for n in reply), script="beat")


def leave(who: Membership) -> Command[int]:
    """Take this member off the list of members."""
    return Command(("ZREM", who.keys.members(who.group), who.member), int)


@dataclass(frozen=True, slots=True)
class Lease:
    """What a partition's lease says: who owns it, and until when in ms of the server's time."""

    owner: str
    epoch: int
    until_ms: int

    def is_free(self, member: str, now_ms: int) -> bool:
        """Say whether a member may take it."""
        return self.owner in ("", member) or self.until_ms <= now_ms


def read_lease(keys: Keys, partition: int, group: str) -> Command[Lease]:
    """Read who owns a partition."""

    def decode(reply: list[bytes | None]) -> Lease:
        owner, epoch, until_ms = reply
        return Lease((owner or b"").decode(), int(epoch or 0), int(until_ms or 0))

    return Command(("HMGET", keys.lease(partition, group), "owner", "epoch", "until"), decode)


def acquire(who: Membership, partition: int, lease_ms: int) -> Command[Grant | bool]:
    """Take a partition if it is free: False if it is not, True if it has no such group."""

    def decode(reply: list[Any]) -> Grant | bool:
        if reply[0] != b"ok":
            return bool(reply[0] == b"unknown")
        _, epoch, done, delivered, mode, clean, *marks = reply
        at = [Position.at_entry(partition, entry_id) for entry_id in (done, delivered, *marks)]
        hold = Hold(who, partition, int(epoch))
        return Grant(hold, at[0], at[1], mode == b"archive", clean == b"1", *at[2:])

    keys = who.keys
    names = (keys.lease(partition, who.group), keys.log(partition), keys.tail(partition))
    return Command((3, *names, who.group, who.member, lease_ms), decode, script="lease_acquire")


def renew(hold: Hold, lease_ms: int) -> Command[bool]:
    """Prolong a lease; False if it was lost."""
    words = (1, hold.lease, hold.member, hold.epoch, lease_ms)
    return Command(words, bool, script="lease_renew")


def release(hold: Hold) -> Command[bool]:
    """Give a lease back in order; False if it was lost before."""
    return Command((1, hold.lease, hold.member, hold.epoch), bool, script="lease_release")


def acknowledge(hold: Hold, positions: Sequence[Position], done: Position) -> Command[bool]:
    """Acknowledge events, and note how far everything is through; False if the lease is lost."""
    ids = [position.entry_id for position in positions]
    words = (2, hold.lease, hold.log, hold.group, hold.member, hold.epoch, done.entry_id, *ids)
    return Command(words, bool, script="acknowledge")


def read_new(
    who: Membership, decoder: Decoder, partitions: Iterable[int], limit: int
) -> Command[Pages]:
    """Take up to ``limit`` events of each partition that nobody was given yet.

    This is the one call that is not fenced: checking leases inside a script costs a third of the
    rate. Who lost a lease may so take events from its successor, who finds them, since the log
    counts without a gap, and claims them.
    """
    logs = {who.keys.log(partition).encode(): partition for partition in partitions}

    def decode(reply: Any) -> Pages:
        return {
            logs[key]: [decoder.log_entry(logs[key], *entry) for entry in entries]
            for key, entries in reply or ()
        }

    words = ("XREADGROUP", "GROUP", who.group, who.member, "COUNT", limit, "STREAMS")
    return Command((*words, *logs, *[">"] * len(logs)), decode)


def claim(
    hold: Hold,
    decoder: Decoder,
    after: Position,
    last: Position | None,
    limit: int,
) -> Command[list[Claimed] | None]:
    """Take over up to ``limit`` pending events after a position, in order; None: lease lost.

    Raises ``HistoryGap`` for an event that left the log unhandled.
    """

    def decode(reply: Any) -> list[Claimed] | None:
        if reply is None:
            return None
        taken, missing = reply
        if missing:
            found = "nothing, it was trimmed unhandled"
            raise HistoryGap(str(hold), f"pending entry {missing[0].decode()}", found)
        return [Claimed(decoder.log_entry(hold.partition, *entry), count) for entry, count in taken]

    low = f"({after.entry_id}" if after.n else "-"
    high = last.entry_id if last else "+"
    fence = (hold.group, hold.member, hold.epoch)
    words = (2, hold.lease, hold.log, *fence, low, high, limit)
    return Command(words, decode, script="claim")


def deliver(hold: Hold, position: Position, known: int) -> Command[int]:
    """Count one more delivery of an event; gives its number, 0 if the lease is lost."""
    words = (2, hold.lease, hold.log, hold.group, hold.member, hold.epoch, position.entry_id, known)
    return Command(words, int, script="deliver")


def look_ahead(hold: Hold, last: Position) -> Command[dict[str, int] | None]:
    """Note how far was read from the archive; gives deliveries by entry id, None: lease lost."""

    def decode(reply: Any) -> dict[str, int] | None:
        if reply is None:
            return None
        return {reply[i].decode(): int(reply[i + 1]) for i in range(0, len(reply), 2)}

    words = (1, hold.lease, hold.member, hold.epoch, last.entry_id)
    return Command(words, decode, script="look_ahead")


GONE, LIVE, NOT_YET = 0, 1, 2
"""What ``go_live`` may give."""


def go_live(hold: Hold, reached: Position) -> Command[int]:
    """Go on in the log once everything up to a position is through and the log has the next."""
    keys = (hold.lease, hold.log, hold.keys.tail(hold.partition))
    words = (3, *keys, hold.group, hold.member, hold.epoch, reached.entry_id)
    return Command(words, int, script="go_live")


def wait_for_news(keys: Keys, after: Mapping[int, Position], block_ms: int) -> Command[bool]:
    """Wait until a log has an entry after its position; takes nothing."""
    logs = [keys.log(partition) for partition in after]
    ids = [position.entry_id for position in after.values()]
    return Command(("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *logs, *ids), bool)


def event_at(keys: Keys, decoder: Decoder, at: Position) -> Command[RecordedEvent | None]:
    """Read the event at a place of the log; None where there is none."""
    return Command(
        ("XRANGE", keys.log(at.partition), at.entry_id, at.entry_id),
        lambda reply: decoder.log_entry(at.partition, *reply[0]) if reply else None,
    )
