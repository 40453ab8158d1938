"""The archive of an open store, as its readers get at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from eventstore.collector import uncollected
from eventstore.decoding import Decoder
from eventstore.keys import Keys

if TYPE_CHECKING:
    from eventstore.archive.archive import Archive

T = TypeVar("T")


class Shelf:
    """Opens the archive to read when it is first needed. Any thread may use it.

    A file that is not there counts as nothing archived, and is looked for again next time.
    """

    def __init__(self, path: Path | None, identity: str, keys: Keys, decoder: Decoder) -> None:
        self._path = path
        self._identity = identity
        self._keys = keys
        self._decoder = decoder
        self._archive: Archive | None = None
        self._opening = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether there is no archive (yet)."""
        return self._archive is None and (self._path is None or not self._path.exists())

    def recall(self, read: Callable[[Archive], T]) -> T | None:
        """Read from the archive; None where there is none.

        Raises ``StoreMismatch`` for the archive of another store.
        """
        if self.is_empty:
            return None
        archive = self._opened()
        with uncollected():
            return read(archive)

    def _opened(self) -> Archive:
        # Imported late: most stores never read it, and the archive's writer needs the stores.
        from eventstore.archive.archive import Archive  # noqa: PLC0415

        with self._opening:
            if self._archive is None:
                assert self._path is not None  # noqa: S101 - for mypy
                self._archive = Archive.open(
                    self._path,
                    identity=self._identity,
                    namespace=self._keys.namespace,
                    partitions=self._keys.partitions,
                    decoder=self._decoder,
                    read_only=True,
                )
            return self._archive

    def close(self) -> None:
        """Close the file."""
        with self._opening:
            archive, self._archive = self._archive, None
        if archive is not None:
            archive.close()
