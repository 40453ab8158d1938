"""How an archive stands. No server and no service is needed to see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eventstore.archive.archive import Archive
from eventstore.archive.archiver import writer_lock
from eventstore.archive.reached import load_reached
from eventstore.archive.seals import last_seal
from eventstore.archive.standing import Standing
from eventstore.events import Position

_LAST_MS = 253_402_300_799_999
"""Of the year 9999: no datetime is later."""
_COUNTS = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM lost_events)"


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """``state`` is ``archiving``; or ``regressed``, ``gap`` or ``corrupt``, and ``message`` why.

    ``events`` and ``runs`` count what is archived, ``lost_events`` what was accepted as lost.
    ``last_seal`` is its number and hash: noted elsewhere, it shows later whether the file was
    taken back to an older state. ``behind`` is how many events the log holds beyond the archive,
    None if it was not asked. ``archiver`` says who runs it, and ``saying`` what that waits for.
    """

    path: Path
    namespace: str
    store_id: str
    partitions: int
    state: str
    message: str
    since_ms: int | None
    events: int
    runs: int
    lost_events: int
    size_bytes: int
    seals: int
    last_seal: str | None
    sealed_ms: int | None
    is_signed: bool
    behind: int | None
    archiver: str | None
    saying: str
    positions: dict[int, Position]


def archive_status(archive: Archive, tails: Mapping[int, Position] | None = None) -> ArchiveStatus:
    """Say how an archive stands, against the log's ``tails`` if they are given."""
    binding = archive.binding
    with archive.database.snapshot() as tx:
        standing = Standing.read(tx)
        reached = load_reached(tx, binding.partitions)
        seal = last_seal(tx)
        ((runs, lost_events),) = tx.execute(_COUNTS)
    holder = writer_lock(archive).holder()
    behind = None
    if tails is not None:
        behind = sum(max(0, tail.n - reached[p].n) for p, tail in tails.items())
    return ArchiveStatus(
        path=archive.path,
        namespace=binding.namespace,
        store_id=binding.store_id,
        partitions=binding.partitions,
        state=standing.state,
        message=standing.message,
        since_ms=_time(standing.since_ms),
        events=sum(position.n for position in reached.values()),
        runs=runs,
        lost_events=lost_events,
        size_bytes=archive.path.stat().st_size,
        seals=seal.sequence if seal else 0,
        last_seal=seal.label if seal else None,
        sealed_ms=_time(seal.at_ms) if seal else None,
        is_signed=bool(seal and seal.signature),
        behind=behind,
        archiver=str(holder) if holder else None,
        saying=holder.saying if holder else "",
        positions=reached,
    )


def _time(ms: int | None) -> int | None:
    """Leave out what is no time: somebody wrote it there."""
    return ms if ms is not None and 0 <= ms <= _LAST_MS else None
