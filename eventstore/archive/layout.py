"""How an archive's file is laid out: its schema, and where in it an entry stands."""

from __future__ import annotations

from eventstore.events import Position
from eventstore.sqlite import Schema

SCHEMA = Schema(
    application_id=0x52554E41,  # the bytes spell RUNA
    package="eventstore.archive",
    kind="archive",
    is_kept=True,
    when_missing="run 'runstore archive run' first",
    when_older="run the archiver once to bring it up to date",
    when_damaged="keep the file, and put a copy of it in its place; what Redis still holds is "
    "archived again",
)

PARTITION_PLACES = 2**47
"""Entries of a partition are numbered below this; 1,024 partitions still fit into 64 bits."""


MAX_PARTITIONS = 2**15


def is_place(position: Position) -> bool:
    """Say whether an entry can stand there."""
    partition, ms, n = position
    return 0 <= partition < MAX_PARTITIONS and 0 <= n < PARTITION_PLACES and 0 <= ms < 2**62


def place_of(position: Position) -> int:
    """Give an entry's key in the file: entries of one partition stand in log order."""
    return position.partition * PARTITION_PLACES + position.n


def position_at(place: int, ms: int) -> Position:
    """Give the position of an entry by its key and its time."""
    partition, n = divmod(place, PARTITION_PLACES)
    return Position(partition, ms, n)
