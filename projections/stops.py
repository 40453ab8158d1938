"""Why a projector stopped altogether: the log or the database is not what it was."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import orjson

from eventstore.errors import RunStoreError
from projections.database import Database, Transaction

_READ = "SELECT value FROM meta WHERE name = 'stopped'"
_WRITE = "INSERT OR REPLACE INTO meta (name, value) VALUES ('stopped', ?)"
_CLEAR = "DELETE FROM meta WHERE name = 'stopped'"


@dataclass(frozen=True, slots=True)
class Stop:
    """What stopped the projector, all projections of it: ``error`` is the error's class."""

    at_ms: int
    error: str
    message: str


def read_stop(tx: Transaction) -> Stop | None:
    """Give why the projector that ran last stopped; None if all is well."""
    found = tx.execute(_READ)
    return Stop(**orjson.loads(found[0][0])) if found else None


def note_stop(database: Database, error: RunStoreError, at_ms: int) -> None:
    """Keep why a projector stops, for ``status``; as well as a damaged database lets it."""
    stop = Stop(at_ms, type(error).__name__, str(error))
    with suppress(RunStoreError), database.transaction() as tx:
        tx.execute(_WRITE, (orjson.dumps(stop).decode(),))


def clear_stop(database: Database) -> None:
    """Forget it: the projector goes on."""
    with database.transaction() as tx:
        tx.execute(_CLEAR)
