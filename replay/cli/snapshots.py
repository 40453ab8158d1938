"""Where commands keep the states that time travel folded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from replay import SyncTimeTravel


@contextmanager
def traveling(session: Session, store: SyncEventStore) -> Iterator[SyncTimeTravel]:
    """Give the time travel of a store, with snapshots beside the database of projections.

    With a URL and no database named there is no place for them; nor is there where it may not
    be written.
    """
    from eventstore import RunStoreError  # noqa: PLC0415
    from replay import SnapshotFile, SyncTimeTravel  # noqa: PLC0415

    if session.url is not None and session.database is None:
        yield SyncTimeTravel(store)
        return
    path = session.database_path
    try:
        snapshots = SnapshotFile(path.with_name(f"{path.stem}.snapshots.db"))
    except RunStoreError:
        yield SyncTimeTravel(store)
        return
    with snapshots:
        yield SyncTimeTravel(store, snapshots=snapshots)
