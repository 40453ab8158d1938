"""What an archive is the archive of, and how a new one comes to be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eventstore.archive.layout import SCHEMA
from eventstore.clock import Clock, to_ms
from eventstore.errors import ServerRefused, StoreMismatch
from eventstore.keys import Keys
from eventstore.sqlite import Database, Transaction

_FACTS = "SELECT name, value FROM facts WHERE name IN ('store_id', 'namespace', 'partitions')"
_KEEP = "INSERT INTO facts (name, value) VALUES (?, ?)"


@dataclass(frozen=True, slots=True)
class Binding:
    """The store that an archive belongs to."""

    store_id: str
    namespace: str
    partitions: int

    @classmethod
    def of(cls, store_id: str, keys: Keys) -> Binding:
        """Give that of a store, from its identity and its keys."""
        return cls(store_id, keys.namespace, keys.partitions)

    @classmethod
    def read(cls, database: Database) -> Binding:
        """Read it from an archive. Raises ``StoreMismatch`` if that belongs to none."""
        with database.snapshot() as tx:
            return cls.within(tx, database.path)

    @classmethod
    def within(cls, tx: Transaction, path: Path) -> Binding:
        """Read it in a transaction. Raises as ``read``."""
        facts = dict(tx.execute(_FACTS))
        try:
            return cls(facts["store_id"], facts["namespace"], int(facts["partitions"]))
        except (KeyError, ValueError):
            raise StoreMismatch(
                f"archive {path} does not say which store it belongs to; give another path",
                path=str(path),
            ) from None

    @property
    def origin(self) -> str:
        """Write it as what the first seal of an archive is bound to."""
        return f"{self.store_id} {self.namespace} {self.partitions}"

    def check(self, database: Database) -> None:
        """Raise ``StoreMismatch`` unless the archive is this store's."""
        if self.is_replaced(database):
            raise StoreMismatch(
                f"archive {database.path} belongs to another store of the name "
                f"{self.namespace!r}; give another path, or, if this server lost all its data, "
                "see 'runstore archive lost' and 'put-back'",
                path=str(database.path),
                expected=self.store_id,
            )

    def is_replaced(self, database: Database) -> bool:
        """Say whether the archive is that of another store of the same name.

        Raises ``StoreMismatch`` for another namespace or number of partitions.
        """
        found = Binding.read(database)
        if (found.namespace, found.partitions) != (self.namespace, self.partitions):
            raise StoreMismatch(
                f"archive {database.path} belongs to namespace {found.namespace!r} of "
                f"{found.partitions} partitions, not to {self.namespace!r} of {self.partitions}; "
                "give another path",
                path=str(database.path),
            )
        return found.store_id != self.store_id

    def write(self, tx: Transaction, now_ms: int) -> None:
        """Give a new archive to this store."""
        created = ("origin", self.origin), ("created_ms", str(now_ms))
        tx.executemany(_KEEP, [*self._facts(), *created])

    def rebind(self, tx: Transaction) -> None:
        """Give an archive to a store that has taken the place of its own."""
        tx.executemany("UPDATE facts SET value = ?2 WHERE name = ?1", self._facts())

    def _facts(self) -> Iterable[tuple[str, str]]:
        return (
            ("store_id", self.store_id),
            ("namespace", self.namespace),
            ("partitions", str(self.partitions)),
        )


def make_archive(path: Path, binding: Binding, clock: Clock) -> None:
    """Make a new archive, whole or not at all: nobody ever sees half of one.

    Raises ``ServerRefused`` where the folder or the disk does not allow it.
    """
    fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
    _remove(fresh)
    try:
        database = Database(fresh, SCHEMA, read_only=False)
        try:
            with database.transaction() as tx:
                binding.write(tx, to_ms(clock()))
            database.settle()  # the one file is all that gets the name; raises on a full disk
        finally:
            database.close()
        _put(fresh, path)
    finally:
        _remove(fresh)


def _put(fresh: Path, path: Path) -> None:
    """Give a file its name, unless another process was first."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    except OSError:  # no links here
        try:
            fresh.rename(path)
        except OSError as error:
            raise ServerRefused(
                f"cannot make an archive at {path} ({error.strerror})", path=str(path)
            ) from error


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(OSError):
            path.with_name(name).unlink()
