"""A file of lines, plain or gzip, that is read more than once."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self, cast

from eventstore.errors import ImportFailed, InvalidArgument
from replay.transfer.formats import Format
from replay.transfer.reading import Line, as_lines, plain_lines

Source = str | os.PathLike[str] | BinaryIO
"""A path, or a file that is open for reading bytes."""

_GZIP_MAGIC = b"\x1f\x8b"


class EventFile:
    """The lines of a source. What cannot be read twice, like a pipe, is kept on disk meanwhile."""

    def __init__(self, file: BinaryIO, kind: Format = "jsonl") -> None:
        self._file = file
        self._kind = kind
        self._start = file.tell()
        self.size_bytes = file.seek(0, os.SEEK_END) - self._start

    @classmethod
    @contextmanager
    def open(cls, source: Source, kind: Format = "jsonl") -> Iterator[Self]:
        """Open a source; a file that was open before is left open. Raises ``OSError``."""
        if isinstance(source, (str, os.PathLike)):
            with Path(source).open("rb") as opened, cls.open(opened, kind) as lines:
                yield lines
        elif source.seekable():
            yield cls(source, kind)
        else:
            with tempfile.TemporaryFile() as kept:
                shutil.copyfileobj(source, kept)
                kept.seek(0)
                yield cls(cast("BinaryIO", kept), kind)

    @property
    def read_bytes(self) -> int:
        """How much of the source, as it is stored, the current reading has taken."""
        return self._file.tell() - self._start

    def lines(self) -> Iterator[tuple[int, Line]]:
        """Read from the start: each event as a line of JSON, with its number from 1 on.

        Blank lines are left out. A line over ``MAX_LINE_BYTES`` comes cut, one byte longer than
        that. Raises ``ImportFailed`` where a gzip file is cut off, and ``InvalidArgument`` for a
        damaged one: that shows behind the damage only, so no line of it can be trusted.
        """
        number = 0
        try:
            with self._plain() as file:
                lines = plain_lines(file) if self._kind == "jsonl" else as_lines(file, self._kind)
                for number, raw in lines:
                    yield number, raw
        except EOFError:
            raise ImportFailed(number + 1, "the gzip file is cut off here") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidArgument(
                f"the gzip file is damaged, at line {number + 1} or before it ({error}); "
                "nothing of it can be taken, get a sound copy"
            ) from None

    @contextmanager
    def _plain(self) -> Iterator[BinaryIO]:
        self._file.seek(self._start)
        zipped = self._file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        self._file.seek(self._start)
        if not zipped:
            yield self._file
            return
        with gzip.GzipFile(fileobj=self._file) as file:
            yield cast("BinaryIO", file)
