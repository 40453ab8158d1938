"""One projector a database."""

from __future__ import annotations

from pathlib import Path

from eventstore.clock import Clock, system_clock
from eventstore.sqlite.writer_lock import WriterLock


def projector_lock(path: Path, clock: Clock = system_clock) -> WriterLock:
    """Make the lock that the projector of the database at ``path`` holds."""
    return WriterLock(path, what="another projector writes to this database", clock=clock)
