"""What to do next about a consumer group: for ``groups show`` and ``doctor``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.groups.status import GroupStatus, PartitionLag


def is_left(one: PartitionLag) -> bool:
    """Say whether events wait and nobody holds the partition."""
    return bool(one.lag_events) and not one.leased_for_ms


def partitions_text(which: Iterable[int]) -> str:
    """Name partitions in a sentence."""
    numbers = list(map(str, which))
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def stalls(group: GroupStatus) -> Iterator[str]:
    """Name each member that does not get on, with what it holds."""
    stalled = [one for one in group.partitions if one.stalled]
    for owner in sorted({str(one.owner) for one in stalled}):
        held = partitions_text(one.partition for one in stalled if one.owner == owner)
        yield (
            f"stalled on {held}: {owner} holds it and does not get on; see what it does, "
            "or stop it and another member takes over"
        )


def next_steps(group: GroupStatus) -> Iterator[str]:
    """Say what is left to a person, and by which command; nothing where all is well."""
    name = shlex.quote(group.name)
    left = [one.partition for one in group.partitions if is_left(one)]
    if not group.live_members:
        if group.lag_events:
            yield f"{group.lag_events:,} events wait and no member lives: start the service"
        elif group.redriving:
            yield f"{group.redriving:,} runs are to be redriven by a member: start the service"
    elif left:
        yield (
            f"nobody has {partitions_text(left)}: a member takes them when the last owner's lease "
            "ends; if that does not last, members die: see their logs"
        )
    waiting = group.parked - group.redriving
    if waiting:
        runs = "1 run is" if waiting == 1 else f"{waiting:,} runs are"
        yield (
            f"{runs} set aside: 'runstore parked list {name}' tells why; once that is put right, "
            f"'runstore parked redrive {name} --all'"
        )
