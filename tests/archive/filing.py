"""Archives for tests, and how they are tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samples import ended, noted

from eventstore import SyncEventStore
from eventstore.archive import Archive, Archiver

KEY = b"k" * 32


def opened(store: SyncEventStore, path: Path, **options: Any) -> Archive:
    """Open the archive of a store."""
    keys = store.operations.keys
    return Archive.open(
        path,
        identity=store.identity,
        namespace=keys.namespace,
        partitions=keys.partitions,
        **options,
    )


def archived(store: SyncEventStore, path: Path, **options: Any) -> int:
    """Archive a store to the end of its log."""
    with opened(store, path) as archive, Archiver(store, archive, **options) as archiver:
        return archiver.run_to_end()


def fill(store: SyncEventStore, runs: int = 6, events: int = 5) -> None:
    """Append to some runs, one event after the other; every third ends."""
    for version in range(1, events + 1):
        for run in range(runs):
            last = ended() if run % 3 == 0 and version == events else noted(f"{run}.{version}")
            store.append(f"run-{run}", last, expected=version - 1)


def tamper(path: Path, statement: str, values: Sequence[Any] = ()) -> int:
    """Change the file behind everybody's back; give how many rows that changed."""
    connection = sqlite3.connect(path, isolation_level=None)
    changed = connection.execute(statement, values).rowcount
    connection.close()
    return changed


def ask(path: Path, statement: str, values: Sequence[Any] = ()) -> list[Any]:
    """Look into the file."""
    connection = sqlite3.connect(path)
    rows = connection.execute(statement, values).fetchall()
    connection.close()
    return rows
