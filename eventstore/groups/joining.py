"""Becoming a member of a group, and making the group where that is asked for."""

from __future__ import annotations

from typing import Any

from eventstore.commands import server_time
from eventstore.errors import LogRegressed, StoreMismatch, UnknownGroup
from eventstore.events import Position
from eventstore.groups import commands
from eventstore.groups.places import known_position
from eventstore.groups.start import Start, starting_positions
from eventstore.operations import Operations
from eventstore.plan import Plan


def join(
    operations: Operations, group: str, start: Start, *, create: bool, is_said: bool = False
) -> Plan[dict[int, Position]]:
    """Find a group and give how far it was served; with ``create``, make a missing one.

    ``start`` counts only for a group that is made here; ``is_said`` tells that somebody, not a
    service, said it. Raises ``UnknownGroup``, ``LogRegressed`` when the log ends before a place
    that the group was served to, or lost what is archived, ``StoreMismatch`` where a service would
    make a group of a server that lost its groups, and ``InvalidArgument`` for a start that the
    log does not have.
    """
    yield from operations.log.check_kept()  # an emptied server has no group that would tell
    (registered,) = yield [commands.read_registration(operations.keys, group)]
    if registered is None:
        if not create:
            raise (yield from unknown_group(operations, group))
        if not is_said:
            yield from _check_groups_kept(operations, group)
        yield from _create(operations, group, start)
    served: list[Position | None] = yield [
        commands.find_group(operations.keys, partition, group)
        for partition in range(operations.keys.partitions)
    ]
    return (yield from _checked(operations, group, served))


def _check_groups_kept(operations: Operations, group: str) -> Plan[None]:
    """Raise ``StoreMismatch`` where the groups were lost: this one may have come far before."""
    (put_back_ms,) = yield [commands.groups_lost(operations.keys)]
    if put_back_ms is not None:
        namespace = operations.keys.namespace
        raise StoreMismatch(
            f"namespace {namespace!r} was put back from its archive, and how far its consumer "
            f"groups had come was lost: a service would begin anew in silence. Say once where "
            f"{group!r} begins: 'runstore groups create {group} --start beginning|end|POSITION'",
            namespace=namespace,
            group=group,
        )


def _create(operations: Operations, group: str, start: Start) -> Plan[None]:
    """Make the group on every partition, then register it: only what is whole is known."""
    tails = yield from operations.tails()
    positions = starting_positions(start, tails)
    for position in positions.values():
        yield from known_position(operations.keys, position)
    yield from _make_exact(operations, positions)
    (created_ms,) = yield [server_time()]
    yield [
        commands.find_group(operations.keys, partition, group, create_at=position)
        for partition, position in positions.items()
    ]
    settings: dict[str, Any] = {
        "start": start if isinstance(start, str) else "position",
        "positions": [str(positions[partition]) for partition in sorted(positions)],
        "created_ms": created_ms,
    }
    yield [commands.register(operations.keys, group, settings)]


def _make_exact(operations: Operations, positions: dict[int, Position]) -> Plan[None]:
    """Turn "from this time on" into "after this entry": a group knows how far it is by counting."""
    timed = [position for position in positions.values() if position.ms and not position.n]
    if not timed:
        return
    found = yield [
        commands.last_before(operations.keys, position.partition, position.ms) for position in timed
    ]
    for position, before in zip(timed, found, strict=True):
        exact = before or (yield from _in_archive(operations, position))
        positions[position.partition] = exact


def _in_archive(operations: Operations, position: Position) -> Plan[Position]:
    """Find the place before the first event from a time on, where the log does not reach back."""
    partition, ms, _ = position
    pages = yield from operations.log_pages({partition: position}, 1)
    if not pages[partition]:
        return Position(partition, 0, 0)
    n = pages[partition][0].position.n - 1
    return Position(partition, ms - 1, n) if n else Position(partition, 0, 0)


def _checked(
    operations: Operations, group: str, served: list[Position | None]
) -> Plan[dict[int, Position]]:
    """Check that no partition lost the group, and none ends before what it was served."""
    if any(position is None for position in served):
        raise (yield from unknown_group(operations, group))
    known = {position.partition: position for position in served if position is not None}
    yield from operations.check_tails(known)
    return known


def unknown_group(operations: Operations, group: str) -> Plan[UnknownGroup]:
    """Make the error that names the groups there are."""
    (names,) = yield [commands.group_names(operations.keys)]
    return UnknownGroup(group, [name for name in names if name != group])


def vanished(
    operations: Operations, group: str, reached: dict[int, Position]
) -> Plan[LogRegressed | UnknownGroup]:
    """Say what became of a group that the server no longer has: a loss, or a deletion."""
    try:
        yield from operations.check_tails(reached)
    except LogRegressed as error:
        return error
    return (yield from unknown_group(operations, group))
