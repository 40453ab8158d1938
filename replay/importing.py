"""Bringing histories in: the lines of a file, each event once, however often they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from eventstore import ImportFailed, InvalidArgument, SyncEventStore
from replay.transfer.event_file import EventFile, Source
from replay.transfer.formats import check_format, format_of
from replay.transfer.histories import Histories, Line, OnBad, good_lines
from replay.transfer.lookahead import ended_pauses, quick_turns, turns_of
from replay.transfer.sender import Sender, Sent

DEFAULT_BATCH_EVENTS = 1_000
DEFAULT_BATCH_BYTES = 4_194_304

OnProgress = Callable[[int, int], None]
"""Is told how many bytes of the source were taken, and how many it has."""


@dataclass(slots=True)
class ImportReport:
    """What an import did with the lines of a file.

    ``bad`` counts the lines that were left out; ``seconds`` is how long it took, of which
    ``waiting_seconds`` were spent in waiting for the store.
    """

    written: int = 0
    already_there: int = 0
    bad: int = 0
    runs: int = 0
    seconds: float = 0.0
    waiting_seconds: float = 0.0

    @property
    def events_per_second(self) -> float:
        """How many events were settled in a second."""
        return (self.written + self.already_there) / self.seconds if self.seconds else 0.0


def import_events(
    store: SyncEventStore,
    source: Source,
    format: str | None = None,  # noqa: A002 - the setting's name
    *,
    skip_bad: bool = False,
    on_bad: OnBad | None = None,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Append the events of a file, each once however often they come; see ``Importer``.

    ``source`` is a path, or a file open for reading bytes, plain or gzip. Raises as
    ``Importer.run`` does.
    """
    importer = Importer(
        store, format=format, skip_bad=skip_bad, on_bad=on_bad, on_progress=on_progress
    )
    return importer.run(source)


class Importer:
    """Appends the events of files to a store; ``transfer.jsonl`` describes their fields.

    Each event is appended with the exact version that it has in its run. So an import that
    comes twice, or again after it was killed, finds what is stored, and adds the rest. A pause
    that a later line ends sets no timer.

    - ``format``: ``jsonl``, ``csv``, ``cloudevents`` or ``parquet``; see ``transfer.formats``.
      Without it a path's name tells, else it is ``jsonl``.
    - ``skip_bad``: leave out lines that cannot be taken, instead of stopping at the first. The
      whole file is then checked before anything is written.
    - ``batch_events``, ``batch_bytes``: the most that is read before it is sent. While one batch
      is under way the next is read.
    - ``on_bad`` is told each line that is left out, ``on_progress`` how far the file was read.
    """

    def __init__(
        self,
        store: SyncEventStore,
        *,
        format: str | None = None,  # noqa: A002 - the setting's name
        skip_bad: bool = False,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        batch_bytes: int = DEFAULT_BATCH_BYTES,
        on_bad: OnBad | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        if min(batch_events, batch_bytes) < 1:
            raise InvalidArgument("batch_events and batch_bytes must be 1 or more")
        self._store = store
        self._settings = store.operations.settings
        self._format = None if format is None else check_format(format)
        self._skip_bad = skip_bad
        self._batch_events = min(batch_events, self._settings.max_append_events)
        self._batch_bytes = batch_bytes
        self._on_bad = on_bad
        self._on_progress = on_progress
        self.report = ImportReport()
        """What the last ``run`` did; after an error, what it had done by then."""

    def run(self, source: Source) -> ImportReport:
        """Import a file, and say what was done.

        Raises ``ImportFailed`` naming a line that is no event, or that tells another history
        than the store; every line before it is stored. Raises ``OSError`` for a file that cannot
        be read, ``InvalidArgument`` for a damaged one, of which nothing is stored, and what
        appending raises; to go on, run it again.
        """
        self.report = ImportReport()
        kind = self._format or format_of(source)
        began_s = time.perf_counter()
        try:
            with EventFile.open(source, kind) as file, ThreadPoolExecutor(1) as thread:
                self._import(file, thread)
        finally:
            self.report.seconds = time.perf_counter() - began_s
        return self.report

    def _import(self, file: EventFile, thread: ThreadPoolExecutor) -> None:
        sender = Sender(self._store, self._look_ahead(file))
        batches = _Batches(sender, thread, self._take_note)
        histories = Histories(self._settings.max_event_bytes)

        def on_bad(bad: ImportFailed) -> None:
            if not self._skip_bad:
                batches.finish()
            self._refuse(bad)

        for line in good_lines(file, histories, on_bad):
            batches.add(line)
            self.report.runs = len(histories)
            if batches.events >= self._batch_events or batches.size_bytes >= self._batch_bytes:
                batches.send()
                self._tell(file.read_bytes, file.size_bytes)
        batches.finish()
        self._tell(file.size_bytes, file.size_bytes)

    def _look_ahead(self, file: EventFile) -> set[int]:
        """Find the pauses that are over by the end of the file.

        Where a bad line stops the import, whatever it said does not matter: no check is needed.
        """
        if not self._skip_bad:
            return ended_pauses(quick_turns(file))
        histories = Histories(self._settings.max_event_bytes)
        return ended_pauses(turns_of(good_lines(file, histories, lambda _bad: None)))

    def _take_note(self, sent: Sent, waited_s: float) -> None:
        self.report.waiting_seconds += waited_s
        self.report.written += sent.written
        self.report.already_there += sent.already_there
        for bad in sorted(sent.refused, key=lambda refused: refused.line):
            self._refuse(bad)

    def _refuse(self, bad: ImportFailed) -> None:
        """Stop at a line that cannot be taken, or count it and go on."""
        if not self._skip_bad:
            raise bad
        self.report.bad += 1
        if self._on_bad:
            self._on_bad(bad)

    def _tell(self, read_bytes: int, size_bytes: int) -> None:
        if self._on_progress:
            self._on_progress(read_bytes, size_bytes)


class _Batches:
    """Gathers lines, and sends them in a thread, one batch at a time."""

    def __init__(
        self, sender: Sender, thread: ThreadPoolExecutor, on_sent: Callable[[Sent, float], None]
    ) -> None:
        self._sender = sender
        self._thread = thread
        self._on_sent = on_sent
        self._lines: list[Line] = []
        self._under_way: Future[Sent] | None = None
        self.size_bytes = 0

    @property
    def events(self) -> int:
        return len(self._lines)

    def add(self, line: Line) -> None:
        self._lines.append(line)
        self.size_bytes += line.size_bytes

    def send(self) -> None:
        """Let the batch go, as soon as the one before it has arrived."""
        self._wait()
        self._under_way = self._thread.submit(self._sender.send, self._lines)
        self._lines, self.size_bytes = [], 0

    def finish(self) -> None:
        """Send what is left, and wait until it has arrived."""
        self.send()
        self._wait()

    def _wait(self) -> None:
        if self._under_way is None:
            return
        began_s = time.perf_counter()
        under_way, self._under_way = self._under_way, None
        sent = under_way.result()
        self._on_sent(sent, time.perf_counter() - began_s)
