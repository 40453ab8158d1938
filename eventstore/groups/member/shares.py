"""How members share the partitions of a group."""

from __future__ import annotations

from collections.abc import Collection


def share(member: str, alive: Collection[str], partitions: int) -> int:
    """Give how many partitions a member should hold: as many as the others, within one.

    All members reckon with the same names, so nobody needs to assign anything. Only what one
    holds beyond its share moves when another joins.
    """
    members = sorted({*alive, member})
    each, rest = divmod(partitions, len(members))
    return each + (members.index(member) < rest)
