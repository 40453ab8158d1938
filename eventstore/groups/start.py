"""Where in the log a new group begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from eventstore.errors import InvalidArgument
from eventstore.events import Position

Start = Literal["beginning", "end"] | Position | Mapping[int, Position]
"""The first event ever; what comes from now on; or what comes after a position."""


def check_start(start: Any) -> Start:
    """Give back a start that can be used; raise ``InvalidArgument`` for any other."""
    if isinstance(start, Position) or start in ("beginning", "end"):
        return start  # type: ignore[no-any-return]
    if isinstance(start, Mapping) and all(_is_place(*item) for item in start.items()):
        return start
    raise InvalidArgument(
        f"start must be 'beginning', 'end', a Position or positions by partition, not {start!r}"
    )


def _is_place(partition: Any, position: Any) -> bool:
    return isinstance(position, Position) and position.partition == partition


def starting_positions(start: Start, tails: Mapping[int, Position]) -> dict[int, Position]:
    """Give for each partition the position after which a group begins.

    After one position, other partitions begin with its millisecond, so that nothing is missed;
    of several, partitions not named begin at the beginning. Raises ``InvalidArgument`` for a
    position that this log does not have.
    """
    if start == "end":
        return dict(tails)
    beginning = {partition: Position(partition, 0, 0) for partition in tails}
    if start == "beginning":
        return beginning
    named = {start.partition: start} if isinstance(start, Position) else dict(start)
    for position in named.values():
        _check_in_log(position, tails)
    if isinstance(start, Position):
        # Never beyond the end: an entry that comes with a clock set back must be seen too.
        beginning = {p: min(Position(p, start.ms, 0), tail) for p, tail in tails.items()}
    return beginning | named


def _check_in_log(position: Position, tails: Mapping[int, Position]) -> None:
    tail = tails.get(position.partition)
    if tail is None:
        raise InvalidArgument(f"start {position}: this store has {len(tails)} partitions")
    if position > tail:
        raise InvalidArgument(
            f"start {position} lies beyond the log's end {tail}: is it a position of another store?"
        )
