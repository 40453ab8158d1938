"""A second database file beside the live one, in which projections are made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson

from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import (
    RunStoreError,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.events import Position
from eventstore.sqlite.writer_lock import Holder, WriterLock
from projections.database import SCHEMA, Database, Transaction, open_database
from projections.feed import DEFAULT_BATCH_EVENTS, Feed
from projections.log import Log
from projections.positions import common_positions
from projections.projection import Projection
from projections.staging import unstage
from projections.standing import clear_halts, load_standings

_KEEP = "INSERT INTO meta (name, value) VALUES ('aside', ?)"
_READ = "SELECT name, value FROM meta WHERE name IN ('aside', 'store')"


class Aside:
    """The rows of some projections, made from the log's beginning in a file of their own.

    One at a time for a database and a purpose, by a lock that dies with its owner. What a killed
    one left is gone on with, if it was made for the same store, projections and versions, and
    was not put in place already; else, or with ``anew``, it is thrown away.
    """

    def __init__(
        self,
        store: Log,
        database: Database,
        projections: Sequence[Projection],
        purpose: str,
        *,
        anew: bool = False,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        clock: Clock = system_clock,
    ) -> None:
        self.projections = [projection.fresh() for projection in projections]
        self.path = aside_path(database.path, purpose)
        self._lock = _lock(self.path, purpose, clock)
        self._lock.acquire()
        try:
            found = None if anew else _found(self.path)
            self.id = self._continued(found, store.identity, _generations(database)) or ""
            if not self.id:
                self.id = uuid4().hex
                remove(self.path)
            self.database = open_database(self.path)
            self.feed = Feed(
                store, self.database, self.projections, batch_events=batch_events, clock=clock
            )
            self._begin(to_ms(clock()))
        except BaseException:
            self._lock.release()
            raise

    @property
    def reached(self) -> dict[int, Position]:
        """What all its projections have read."""
        self.feed.begin()
        return common_positions(one.positions for one in self.feed.standings.values())

    @property
    def events(self) -> int:
        """How many events all its projections have read."""
        return sum(place.n for place in self.reached.values())

    def step(self) -> int:
        """Take one batch; 0 at the log's end.

        Raises ``ProjectionFailed`` for an event that a projection can neither take nor skip. A
        log or a file that is not what it was throws away what was made: the next one begins anew.
        """
        try:
            count = self.feed.once()
        except (StoreUnavailable, ServerRefused):
            raise
        except RunStoreError:
            self.discard()
            raise
        self.feed.raise_stopped()
        return count

    def close(self) -> None:
        """Keep what was made, to go on with it another time."""
        self.database.close()
        self._lock.release()

    def discard(self) -> None:
        """Throw away what was made."""
        self.database.close()
        remove(self.path)
        self._lock.release()

    def _continued(
        self, found: Mapping[str, Any] | None, identity: str, in_place: set[str]
    ) -> str | None:
        """Give the id of what was found, if it is what is wanted now."""
        wanted = {projection.name: projection.version for projection in self.projections}
        if found is None or found["store"] != identity or found["projections"] != wanted:
            return None
        return None if found["id"] in in_place else str(found["id"])

    def _begin(self, now_ms: int) -> None:
        wanted = {projection.name: projection.version for projection in self.projections}
        about = {"id": self.id, "projections": wanted, "began_ms": now_ms}
        self.feed.begin()
        with self.database.transaction() as tx:
            if len(tx.execute(_READ)) < 2:  # noqa: PLR2004 - the store was bound already
                tx.execute(_KEEP, (orjson.dumps(about).decode(),))
            for name in wanted:
                clear_halts(tx, name)
        self.feed.forget()


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rebuild that some process is at now: so many events are read, of so many in the rows."""

    projections: tuple[str, ...]
    events: int
    holder: Holder

    def __str__(self) -> str:
        return f"being made anew by {self.holder}, {self.events:,} events read"


def under_way(database: Database) -> UnderWay | None:
    """Say which rebuild of a database is under way, if there is one."""
    path = aside_path(database.path, "rebuild")
    holder = _lock(path, "rebuild").holder()
    found = _found(path)
    if holder is None or found is None:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as aside:
            standings = load_standings(Transaction(aside, path, SCHEMA))
    except (sqlite3.Error, RunStoreError):
        return None  # it has just ended
    reached = common_positions(one.positions for one in standings.values())
    return UnderWay(tuple(found["projections"]), sum(at.n for at in reached.values()), holder)


def tidy(database: Database) -> None:
    """Remove what a rebuild left that was killed after its rows were put in place."""
    path = aside_path(database.path, "rebuild")
    if not path.exists():
        return
    lock = _lock(path, "rebuild")
    with suppress(StoreMismatch):  # another rebuild is at it
        lock.acquire()
        found = _found(path)
        if found and found["id"] in _generations(database):
            unstage(database.path)
            remove(path)
    lock.release()


def aside_path(live: Path, purpose: str) -> Path:
    """Give the path of the second file for a purpose."""
    return live.with_name(f"{live.name}.{purpose}")


def remove(path: Path) -> None:
    """Remove a database that nobody has open, with the files that SQLite keeps beside it."""
    for ending in ("-wal", "-shm", ""):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _lock(path: Path, purpose: str, clock: Clock = system_clock) -> WriterLock:
    return WriterLock(path, what=f"another {purpose} of this database is under way", clock=clock)


def _found(path: Path) -> dict[str, Any] | None:
    """Read what was left by an earlier one; None if it is not there, or of no use."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as left:
            ((schema,),) = left.execute("PRAGMA user_version")
            meta = dict(left.execute(_READ).fetchall())
    except sqlite3.Error:
        return None
    if schema != SCHEMA.steps[-1].number or len(meta) < 2:  # noqa: PLR2004 - both must be there
        return None
    return {"store": meta["store"], **orjson.loads(meta["aside"])}


def _generations(database: Database) -> set[str]:
    with database.snapshot() as tx:
        return {one.generation for one in load_standings(tx).values() if one.generation}
