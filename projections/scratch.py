"""A database in memory, in which the rows of a few runs are made and compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from eventstore.events import RecordedEvent
from projections.database import SCHEMA, Transaction
from projections.projection import Projection
from projections.registry import register

_NOWHERE = Path(":memory:")


@contextmanager
def scratch(*projections: Projection) -> Iterator[Transaction]:
    """Give an empty database with the tables of these projections, gone after the block."""
    with closing(sqlite3.connect(_NOWHERE, isolation_level=None)) as connection:
        SCHEMA.migrate(connection, _NOWHERE)
        connection.execute("BEGIN")
        tx = Transaction(connection, _NOWHERE, SCHEMA)
        for projection in projections:
            register(tx, projection)
        yield tx


def take(tx: Transaction, projection: Projection, events: Iterable[RecordedEvent]) -> None:
    """Let a projection take events in, as one batch."""
    for event in events:
        projection.apply(tx, event)
    projection.flush(tx)
