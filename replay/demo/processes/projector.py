"""The projector: ``python -m replay.demo.processes.projector FOLDER DATABASE``."""

from __future__ import annotations

import sys
import threading

from eventstore import StoreMismatch, SyncEventStore
from projections import Projector, open_database
from replay.demo.processes.parent import when_parent_ends

LOOK_EVERY_MS = 200


def project(folder: str, path: str) -> None:
    """Write rows for whatever happens until the parent process ends or says so."""
    stop = threading.Event()
    when_parent_ends(stop.set)
    with (
        SyncEventStore.open(folder=folder, partitions=None) as store,
        open_database(path) as database,
        Projector(store, database, block_ms=LOOK_EVERY_MS) as projector,
    ):
        while not stop.is_set():
            try:
                projector.run(stop)
            except StoreMismatch as refused:
                if not hasattr(refused, "holder_pid"):
                    raise
                stop.wait(LOOK_EVERY_MS / 1_000)  # another projector does the work meanwhile


if __name__ == "__main__":
    project(*sys.argv[1:3])
