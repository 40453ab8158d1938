"""What every member writes down about each handling, so that no kill loses it."""

from __future__ import annotations

import os
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from eventstore import Delivery, RecordedEvent


@dataclass(frozen=True, slots=True)
class Line:
    """One moment. ``kind`` is begun, ended, failed, or slept: the process was held up."""

    at_ns: int
    kind: str
    pid: int
    member: str
    run_id: str = "-"
    version: int = 0
    partition: int = 0
    epoch: int = 0
    attempt: int = 0

    @property
    def place(self) -> tuple[str, int]:
        return self.run_id, self.version


_KINDS = [int if field.type == "int" else str for field in fields(Line)]


class Journal:
    """A file that processes append lines to; its order is the order in which things happened.

    A line is written by one call, so that lines of different processes never mix.
    """

    def __init__(self, path: Path | str, member: str = "") -> None:
        self.path = Path(path)
        self._member = member
        self._file: int | None = None
        self._read = 0
        self._lines: list[Line] = []
        self._ended: set[tuple[str, int]] = set()

    def write(self, kind: str, *rest: Any) -> None:
        """Append a line of this process."""
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        line = Line(time.time_ns(), kind, os.getpid(), self._member, *rest)
        os.write(self._file, (" ".join(map(str, astuple(line))) + "\n").encode())

    def note(self, kind: str, event: RecordedEvent, delivery: Delivery) -> None:
        """Append what became of an event."""
        place = event.position.partition
        self.write(kind, event.run_id, event.version, place, delivery.epoch, delivery.attempt)

    @property
    def lines(self) -> list[Line]:
        """All whole lines up to now."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._read += len(whole)
            found = list(map(_parse, whole.decode().splitlines()))
            self._lines += found
            self._ended.update(line.place for line in found if line.kind == "ended")
        return self._lines

    def has_ended(self, places: set[tuple[str, int]]) -> bool:
        """Say whether all these runs and versions were handled to the end."""
        return bool(self.lines) and places <= self._ended


def _parse(text: str) -> Line:
    words = text.split(" ")
    return Line(*(kind(word) for kind, word in zip(_KINDS, words, strict=True)))  # type: ignore[arg-type]
