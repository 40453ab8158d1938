"""Feeds the archive from the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from eventstore.archive.archive import Archive
from eventstore.archive.binding import Binding
from eventstore.archive.entry import Entry
from eventstore.archive.erasing import erase_earlier
from eventstore.archive.ledger import Ledger
from eventstore.archive.seal_key import check_seal_key
from eventstore.archive.source import Source
from eventstore.archive.standing import STOPS, Standing
from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import InvalidArgument, RunStoreError, ServerRefused, StoreUnavailable
from eventstore.sqlite.writer_lock import WriterLock
from eventstore.sync_store import SyncEventStore

DEFAULT_BATCH_EVENTS = 2_000
DEFAULT_BATCH_BYTES = 16 * 1_048_576
DEFAULT_BLOCK_MS = 500
DEFAULT_RETRY_PAUSE_MS = 100
DEFAULT_RETRY_PAUSE_MAX_MS = 5_000

OnProgress = Callable[[int], None]
"""Is told, after each batch, how many events the call has archived so far."""

_log = logging.getLogger("runstore.archive")


def writer_lock(archive: Archive, clock: Clock = system_clock) -> WriterLock:
    """Make the lock that whoever changes an archive holds."""
    return WriterLock(archive.path, what="another archiver writes to this archive", clock=clock)


class Archiver:
    """Archives the log of a store, each event exactly once.

    Events, chains, positions and the batch's seal are committed together, and on the disk before
    anybody is told; killed anywhere, it goes on where the last commit stands. From its first run
    until ``close`` it is the only archiver of its file. One thread at a time may run it.

    With the ``run.deleted`` of a run, what was archived of it before loses its content, in the
    same transaction: digests and chains stay, so that it can still be verified.

    - ``seal_key``: signs the seals (HMAC-SHA256), 16 bytes or more. Without one they are hashes,
      which anybody who may write the file can make anew.
    - ``begin_signing``: sign from here on what was archived without a key. Unasked that is
      refused, since the first signature vouches for all seals before it, and somebody may have
      taken theirs away.
    - ``batch_events``: the most events in one transaction; ``batch_bytes``: about how large it is.
    - ``block_ms``: how long ``run`` waits at the store for events before it looks at ``stop``.
    - ``retry_pause_ms``, doubling up to ``retry_pause_max_ms``: how long ``run`` waits between
      attempts while the store cannot be reached or the disk is full.
    """

    def __init__(
        self,
        store: SyncEventStore,
        archive: Archive,
        *,
        seal_key: bytes | None = None,
        begin_signing: bool = False,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        batch_bytes: int = DEFAULT_BATCH_BYTES,
        block_ms: int = DEFAULT_BLOCK_MS,
        retry_pause_ms: int = DEFAULT_RETRY_PAUSE_MS,
        retry_pause_max_ms: int = DEFAULT_RETRY_PAUSE_MAX_MS,
        clock: Clock = system_clock,
    ) -> None:
        settings = (batch_events, batch_bytes, block_ms, retry_pause_ms, retry_pause_max_ms)
        if min(settings) < 1:
            raise InvalidArgument("the settings of an archiver must be 1 or more")
        key = None if seal_key is None else check_seal_key(seal_key)
        self._store = store
        self._archive = archive
        self._ledger = Ledger(archive, key, clock, begin_signing=begin_signing)
        self._lock = writer_lock(archive, clock)
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._fitting = batch_events
        self._block_ms = block_ms
        self._retry_pause_s = retry_pause_ms / 1_000
        self._retry_pause_max_s = retry_pause_max_ms / 1_000
        self._clock = clock
        self._is_noted = False

    def run_once(self, block_ms: int | None = None) -> int:
        """Archive one batch, and give how many events it had; 0 at the end of the log.

        With ``block_ms``, wait so many milliseconds for events at the end. Raises
        ``LogRegressed``, ``HistoryGap`` and ``CorruptEvent`` if the log is not what it was, which
        the archive's status shows from then on; ``StoreMismatch`` while another archiver runs, or
        for the archive of another store; ``InvalidArgument`` for a seal key that is missing or
        wrong; ``ServerRefused`` on a full disk. Nothing of a batch that raised is written.
        """
        self._begin()
        try:
            source = Source(self._store.operations.keys)
            plan = source.read(self._ledger.marks, self._fitting, block_ms)
            entries = self._store.perform(plan)
            if entries:
                self._ledger.write(entries)
                self._adapt(entries)
            elif self._ledger.has_erased:
                self._ledger.settle()
        except STOPS as error:
            self._ledger.forget()
            self._note(Standing.of(error, to_ms(self._clock())))
            self._is_noted = False
            raise
        if not self._is_noted:
            self._note(Standing(since_ms=to_ms(self._clock())))
            self._is_noted = True
        return len(entries)

    def run_to_end(self, on_progress: OnProgress | None = None) -> int:
        """Archive until the log ends, and give how many events that were.

        Raises as ``run_once`` does.
        """
        done = 0
        while count := self.run_once():
            done += count
            if on_progress:
                on_progress(done)
        return done

    def run(
        self, stop: threading.Event | None = None, on_progress: OnProgress | None = None
    ) -> int:
        """Follow the log until ``stop`` is set, and give how many events that were.

        While the store cannot be reached, or the disk is full, it says so (in the log, and to
        ``status``) and tries again; all else raises as ``run_once`` does.
        """
        stop = stop or threading.Event()
        done, pause_s = 0, self._retry_pause_s
        while not stop.is_set():
            try:
                count = self.run_once(self._block_ms)
            except (StoreUnavailable, ServerRefused) as error:
                self._wait(error, pause_s, stop)
                pause_s = min(2 * pause_s, self._retry_pause_max_s)
                continue
            if pause_s != self._retry_pause_s:
                self._lock.say("")
                pause_s = self._retry_pause_s
            done += count
            if count and on_progress:
                on_progress(done)
        return done

    def close(self) -> None:
        """Let another archiver have the file. The next run begins again."""
        self._ledger.forget()
        self._lock.release()

    def _begin(self) -> None:
        """Take the archive, once: nobody else changes it from here on."""
        if self._ledger.marks:
            return
        self._lock.acquire()
        try:
            Binding.of(self._store.identity, self._store.operations.keys).check(
                self._archive.database
            )
            erase_earlier(self._archive, self._clock)
            self._ledger.load()
        except BaseException:
            self.close()
            raise

    def _adapt(self, entries: list[Entry]) -> None:
        """Let the next batch have as many events as fit, judging by this one."""
        size_bytes = sum(len(entry.encoded) for entry in entries)
        fitting = max(1, self._batch_bytes * len(entries) // size_bytes)
        self._fitting = min(self._batch_events, fitting, 2 * self._fitting)

    def _note(self, standing: Standing) -> None:
        if standing.message:
            _log.error("archiving stopped: %s", standing.message)
            self._lock.say(f"stopped: {standing.message}")
        with suppress(ServerRefused, StoreUnavailable):  # a full disk hides nothing else
            standing.write(self._archive.database)

    def _wait(self, error: RunStoreError, pause_s: float, stop: threading.Event) -> None:
        if pause_s == self._retry_pause_s:
            _log.warning("the archiver waits and tries again: %s", error)
        self._lock.say(f"waiting: {error}")
        stop.wait(pause_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
