"""Where a command works: the store and the database that its options name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import click

from replay.cli.output import note

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.archive import Archive
    from eventstore.transport.opening import Opening
    from projections import Database

DEFAULT_FOLDER = Path(".runstore")
SLOW_S = 2.0


class CannotDo(click.ClickException):
    """Something a command needs is not there; the message says what to do. Exit code 2."""

    exit_code = 2


@contextmanager
def _told_if_slow(opening: Opening) -> Iterator[None]:
    """Tell people that a server does not answer yet, while it is asked again."""
    timer = Timer(SLOW_S, note, ["the server does not answer yet; trying again"])
    timer.daemon = True
    if opening.url is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass
class Session:
    """What the global options say."""

    url: str | None = field(default=None, repr=False)
    namespace: str = "runs"
    folder: Path = DEFAULT_FOLDER
    database: Path | None = None
    archive: Path | None = None
    partitions: int | None = None
    as_json: bool = False

    @property
    def database_path(self) -> Path:
        """The database of projections.

        It lies in the folder, as the embedded server does. A server named by a URL has no
        folder, and a guess might show another store's rows.
        """
        from eventstore.events import check_namespace  # noqa: PLC0415

        if self.database is not None:
            return self.database
        if self.url is not None:
            raise CannotDo(
                "with a URL, say where the database of projections is: --database PATH, or the "
                "variable RUNSTORE_DATABASE"
            )
        return self.folder / f"{check_namespace(self.namespace)}.db"

    @property
    def archive_path(self) -> Path:
        """The archive. With a URL it must be named, as the database must."""
        from eventstore.events import check_namespace  # noqa: PLC0415

        if self.archive is not None:
            return self.archive
        if self.url is not None:
            raise CannotDo(
                "with a URL, say where the archive is: --archive PATH, or the variable "
                "RUNSTORE_ARCHIVE"
            )
        return self.folder / f"{check_namespace(self.namespace)}.archive.db"

    @contextmanager
    def store(self, *, create: bool = False, may_be_lost: bool = False) -> Iterator[SyncEventStore]:
        """Open the store; one that is not there yet only where ``create`` says so.

        ``may_be_lost``: also where the server is there and has lost it.
        """
        from eventstore import SyncEventStore  # noqa: PLC0415
        from eventstore.server import status  # noqa: PLC0415
        from eventstore.transport.opening import Opening  # noqa: PLC0415
        from replay.cli.logs import show_warnings  # noqa: PLC0415

        show_warnings()
        if self.url is None and not create and status(self.folder) is None:
            raise CannotDo(
                f"there is no store in {self.folder} yet; 'runstore import FILE' makes one"
            )
        opening = Opening.of(
            self.url,
            namespace=self.namespace,
            partitions=self.partitions,
            archive=self.archive,
            durability="server",
            settings=None,
            upcasters=None,
            allow_eviction=False,
            folder=self.folder,
            create=create or may_be_lost,
            partitions_if_made=self._archived_partitions() if create or may_be_lost else None,
        )
        with _told_if_slow(opening):
            store = SyncEventStore(opening).start()
        with store:
            yield store

    def _archived_partitions(self) -> int | None:
        """Give how many partitions the store had that is archived: made anew, it has as many."""
        from eventstore.archive import Archive  # noqa: PLC0415
        from eventstore.errors import RunStoreError  # noqa: PLC0415

        with suppress(RunStoreError, CannotDo), Archive.look(self.archive_path) as archive:
            if archive.binding.namespace == self.namespace:
                return archive.binding.partitions
        return None

    @contextmanager
    def archived(self, *, to_write: bool = False) -> Iterator[Archive]:
        """Open the archive, whichever store it belongs to."""
        from eventstore.archive import Archive  # noqa: PLC0415

        path = self.archive_path
        if not path.exists():
            raise CannotDo(
                f"nothing is archived yet, {path} is not there; run 'runstore archive run'"
            )
        with Archive.look(path, read_only=not to_write) as archive:
            yield archive

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Open the database to read. No server is needed."""
        from projections import open_database  # noqa: PLC0415

        self.check_projected()
        with open_database(self.database_path, read_only=True) as database:
            yield database

    def check_projected(self) -> None:
        """Refuse where there is no database of projections yet."""
        path = self.database_path
        if not path.exists():
            raise CannotDo(
                f"nothing is projected yet, {path} is not there; "
                "run 'runstore project run --to-end' first"
            )

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Open the database to write, making it if need be."""
        from projections import open_database  # noqa: PLC0415

        with open_database(self.database_path) as database:
            yield database
