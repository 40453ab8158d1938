"""What the lines of an import file say about their runs, before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eventstore.errors import ImportFailed, InvalidArgument, InvalidEvent
from eventstore.events import DELETED, ENDS, NewEvent
from replay.transfer.event_file import EventFile
from replay.transfer.jsonl import event_of, read_fields

OnBad = Callable[[ImportFailed], None]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may be stored: its number in the file, and its version in its run.

    ``size_bytes`` is that of the encoded event.
    """

    number: int
    run_id: str
    version: int
    event: NewEvent
    size_bytes: int


class Histories:
    """Gives the lines of each run their versions, and refuses those that cannot have one.

    A run's lines count from 1, or from the version that its first line names; a line that names
    its version must be the next one. Only good lines count.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._versions: dict[str, int] = {}
        self._ends: dict[str, str] = {}

    def __len__(self) -> int:
        """Count the runs."""
        return len(self._versions)

    def take(self, number: int, raw: bytes | InvalidEvent) -> Line:
        """Take the file's next line.

        Raises ``ImportFailed`` for a bad one, which leaves everything as it was.
        """
        try:
            if isinstance(raw, InvalidEvent):
                raise raw
            fields = read_fields(raw)
            run_id = fields["run_id"]
            version = self._next(run_id, fields.get("version"))
            event = event_of(fields, version)
            size_bytes = len(event.encoded)
            self._check(run_id, event, size_bytes)
        except InvalidArgument as error:
            raise ImportFailed(number, str(error)) from error
        self._versions[run_id] = version
        if event.type in ENDS or event.type == DELETED:
            self._ends[run_id] = event.type
        return Line(number, run_id, version, event, size_bytes)

    def _next(self, run_id: str, stated: int | None) -> int:
        known = self._versions.get(run_id)
        if known is None:
            return stated or 1
        if stated not in (None, known + 1):
            raise InvalidEvent(f"version {stated} does not follow version {known} of its run")
        return known + 1

    def _check(self, run_id: str, event: NewEvent, size_bytes: int) -> None:
        if size_bytes > self._max_event_bytes:
            limit = self._max_event_bytes
            raise InvalidEvent(f"the event is {size_bytes} bytes encoded, over {limit}")
        end = self._ends.get(run_id)
        if end == DELETED or (end and event.type != DELETED):
            raise InvalidEvent(f"{event.type} follows {end}, which ended the run")


def good_lines(file: EventFile, histories: Histories, on_bad: OnBad) -> Iterator[Line]:
    """Give a file's good lines; ``on_bad`` is told each other one, and may raise."""
    lines = file.lines()
    while True:
        try:
            number, raw = next(lines)
            line = histories.take(number, raw)
        except StopIteration:
            return
        except ImportFailed as bad:
            on_bad(bad)
        else:
            yield line
