"""What one round of the trimmer did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eventstore.events import Position


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has not passed what is still in a log, and how far they have come.

    ``kind`` is ``group``, ``reader`` or ``archive``, whose ``name`` is empty. ``position`` has
    ``n`` 0 where nothing was passed.
    """

    kind: str
    name: str
    position: Position

    def __str__(self) -> str:
        who = f"{self.kind} {self.name!r}" if self.name else f"the {self.kind}"
        return f"{who} has come to {self.position}" if self.position.n else f"{who} has not begun"


@dataclass(frozen=True, slots=True)
class PartitionTrim:
    """What became of one partition's log.

    ``trimmed`` are the entries that left it, or would under ``dry_run``; ``left`` those still
    there. One entry that all have passed stays in each log. ``held_by`` is None when that is all.
    """

    partition: int
    trimmed: int
    left: int
    held_by: Holder | None


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What one round did; under ``dry_run`` what it would do.

    ``archive`` is None where nothing is archived: then nothing was trimmed. ``dropped_runs``
    counts the run streams that left Redis, ``freed_bytes`` is by how much the server's memory
    shrank meanwhile (below 0 where others wrote more).
    """

    archive: Path | None
    dry_run: bool
    partitions: tuple[PartitionTrim, ...]
    dropped_runs: int
    freed_bytes: int

    @property
    def trimmed(self) -> int:
        """The entries that left the log."""
        return sum(each.trimmed for each in self.partitions)

    @property
    def left(self) -> int:
        """The entries that are still in the log."""
        return sum(each.left for each in self.partitions)
