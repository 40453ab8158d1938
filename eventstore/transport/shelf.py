"""The archive of an open store, as its readers get at it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from eventstore.decoding import Decoder
from eventstore.keys import Keys

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive

T = TypeVar("T")


class Shelf:
    """Opens the archive to read when it is first needed, and reads in a thread of its own.

    A file that is not there counts as nothing archived, and is looked for again next time.
    """

    def __init__(self, path: Path | None, identity: str, keys: Keys, decoder: Decoder) -> None:
        self._path = path
        self._identity = identity
        self._keys = keys
        self._decoder = decoder
        self._archive: Archive | None = None
        self._was_asked = False
        # One thread: SQLite's connections belong to the thread that made them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runstore-archive")

    def recall(self, read: Callable[[Archive], T]) -> Future[T] | None:
        """Begin to read; None where there is no archive.

        The result raises ``StoreMismatch`` for the archive of another store.
        """
        if self._archive is None and (self._path is None or not self._path.exists()):
            return None
        self._was_asked = True
        return self._thread.submit(self._read, read)

    def _read(self, read: Callable[[Archive], T]) -> T:
        if self._archive is None:
            # Imported late: most stores never read it, and the archive's writer needs the stores.
            from eventstore.archive.archive import Archive  # noqa: PLC0415

            assert self._path is not None  # noqa: S101 - for mypy
            self._archive = Archive.open(
                self._path,
                identity=self._identity,
                namespace=self._keys.namespace,
                partitions=self._keys.partitions,
                decoder=self._decoder,
                read_only=True,
            )
        return read(self._archive)

    def close(self) -> None:
        """Wait for what is being read, and close the file."""
        if self._was_asked:
            self._thread.submit(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        archive, self._archive = self._archive, None
        if archive is not None:
            archive.close()
