"""Where events go: a file that takes its name when it is complete, or one that is open."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

Target = str | os.PathLike[str] | BinaryIO
"""A path, compressed where it ends in ``.gz``, or a file that is open for writing bytes."""


@contextmanager
def opened(target: Target) -> Iterator[BinaryIO]:
    """Open a target; a file that was open before is left open. Raises ``OSError``.

    A path is written beside its file, as ``<path>.part``, and takes its place at the end: who
    reads it sees all or what was there before, also after an error or a kill.
    """
    if not isinstance(target, (str, os.PathLike)):
        yield target
        return
    path = os.fspath(target)
    part = Path(f"{path}.part")
    try:
        with part.open("wb") as file:
            if path.endswith(".gz"):
                with gzip.GzipFile(filename="", fileobj=file, mode="wb") as zipped:
                    yield cast("BinaryIO", zipped)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
