"""Who acts for a group, and by which lease."""

from __future__ import annotations

from dataclasses import dataclass

from eventstore.keys import Keys


@dataclass(frozen=True, slots=True)
class Membership:
    """Who speaks: a member of a group of one namespace."""

    keys: Keys
    group: str
    member: str

    def __str__(self) -> str:
        return f"member {self.member!r} of group {self.group!r}"

    def place(self, partition: int) -> str:
        """Name a partition of this group in messages."""
        return f"group {self.group!r}, partition {partition}"


@dataclass(frozen=True, slots=True)
class Hold:
    """A member's hold on one partition. Its ``epoch`` is the fencing token.

    The server refuses what comes under an older epoch: somebody else owns the partition then.
    """

    who: Membership
    partition: int
    epoch: int

    @property
    def keys(self) -> Keys:
        """The keys of the namespace."""
        return self.who.keys

    @property
    def group(self) -> str:
        """The group's name."""
        return self.who.group

    @property
    def member(self) -> str:
        """The member's name."""
        return self.who.member

    @property
    def lease(self) -> str:
        """The key of the lease."""
        return self.keys.lease(self.partition, self.group)

    @property
    def log(self) -> str:
        """The key of the partition's log."""
        return self.keys.log(self.partition)

    def __str__(self) -> str:
        return self.who.place(self.partition)
