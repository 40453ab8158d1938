"""The projector: reads the log, and writes rows and positions in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import (
    CorruptEvent,
    HistoryGap,
    InvalidArgument,
    LogRegressed,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from projections.aside import tidy
from projections.built_in import BUILT_IN
from projections.database import Database
from projections.database.projector_lock import projector_lock
from projections.feed import DEFAULT_BATCH_EVENTS, DEFAULT_BATCH_MS, Feed
from projections.log import RunLog
from projections.projection import Projection
from projections.renewal import Renewal
from projections.reporting import Reporter
from projections.status import projection_status
from projections.stops import clear_stop, note_stop, read_stop
from projections.upkeep import Upkeep

DEFAULT_BLOCK_MS = 500
DEFAULT_RETRY_PAUSE_MS = 100
DEFAULT_RETRY_PAUSE_MAX_MS = 5_000

OnProgress = Callable[[int], None]
"""Is told, after each batch, how many events the call has projected so far."""

_STOPS = (LogRegressed, HistoryGap, CorruptEvent, StoreMismatch, ServerRefused)
_log = logging.getLogger(__name__)


class Projector(Upkeep):
    """Feeds the projections of a database from the log of a store.

    Each event counts once: rows and positions are committed together, and after a kill anywhere
    the projector goes on where the last commit stands. ``projections`` are classes, each made
    anew here, or instances for this projector alone; one that is new to the database catches up
    from the log's beginning, one whose version changed is rebuilt beside its old rows. From its
    first run until ``close`` this is the only projector of its database. One thread at a time
    may run it.

    A projection that raises is shown as failed and stands before that event until it is resumed
    (or skips it, see ``Projection.on_failure``); the others go on.

    - ``batch_events``: the most events in one transaction.
    - ``batch_ms``: how long a transaction should take at most; batches adapt to it.
    - ``block_ms``: how long ``run`` waits at the store for events before it looks at ``stop``.
    - ``retry_pause_ms``, doubling up to ``retry_pause_max_ms``: how long ``run`` waits between
      attempts while the store cannot be reached.
    - ``lock_timeout_s``: how long to wait for another projector of the database to leave; None
      waits for ever. By default it is refused at once, with who the other is.
    """

    def __init__(
        self,
        store: RunLog,
        database: Database,
        projections: Iterable[type[Projection] | Projection] = BUILT_IN,
        *,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        batch_ms: int = DEFAULT_BATCH_MS,
        block_ms: int = DEFAULT_BLOCK_MS,
        retry_pause_ms: int = DEFAULT_RETRY_PAUSE_MS,
        retry_pause_max_ms: int = DEFAULT_RETRY_PAUSE_MAX_MS,
        lock_timeout_s: float | None = 0,
        clock: Clock = system_clock,
    ) -> None:
        if min(batch_events, batch_ms, block_ms, retry_pause_ms, retry_pause_max_ms) < 1:
            raise InvalidArgument("the settings of a projector must be 1 or more")
        own = [one() if isinstance(one, type) else one for one in projections]
        super().__init__(store, database, own, clock)
        if len(set(self._names)) < max(1, len(self._names)):
            raise InvalidArgument("give at least one projection, and each name once")
        self._feed = Feed(
            store,
            database,
            own,
            batch_events=batch_events,
            batch_ms=batch_ms,
            clock=clock,
        )
        self._block_ms = block_ms
        self._retry_pause_s = retry_pause_ms / 1_000
        self._retry_pause_max_s = retry_pause_max_ms / 1_000
        self._lock = projector_lock(database.path, clock)
        self._lock_timeout_s = lock_timeout_s
        self._begun = False
        self._stop_noted = False
        self._idle_work = 0
        self._reporter = Reporter(store, database.path)
        self._renewal = Renewal(store, database, self._feed, clock)

    def run_once(self, *, block_ms: int | None = None) -> int:
        """Project one batch, and give how many events it had; 0 at the end of the log.

        With ``block_ms``, wait so many milliseconds for events at the end. Raises
        ``StoreMismatch`` while another projector runs, or for the database of another store;
        ``HistoryGap`` and ``LogRegressed`` if the log is not what it was. Nothing of a batch that
        raised is written, and ``status`` says why. A projection that fails raises nothing here.
        """
        return self._once(block_ms, None)

    def run_to_end(self, on_progress: OnProgress | None = None) -> int:
        """Project until the log ends, and give how many events that were.

        Raises as ``run_once`` does; and ``ProjectionFailed``, when all others have come to the
        end, if one of these projections stands failed.
        """
        done = 0
        while count := self.run_once():
            done += count
            if on_progress:
                on_progress(done)
        self._raise_failed()
        return done

    def run(
        self, stop: threading.Event | None = None, on_progress: OnProgress | None = None
    ) -> int:
        """Follow the log until ``stop`` is set, and give how many events that were.

        A store that cannot be reached is asked again; all else raises as ``run_once`` does.
        """
        stop = stop or threading.Event()
        done, pause_s = 0, self._retry_pause_s
        while not stop.is_set():
            try:
                count = self._once(self._block_ms, stop)
            except StoreUnavailable as error:
                _log.warning("projector waits %g s: %s", pause_s, error)
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, self._retry_pause_max_s)
                continue
            pause_s = self._retry_pause_s
            done += count
            if count and on_progress:
                on_progress(done)
        return done

    def catch_up(self) -> None:
        """Do all that can wait, as ``run`` does at the log's end: what is new is made searchable.

        Nothing that is asked goes without it, but some answers take longer.
        """
        while self._feed.idle():
            pass

    def close(self) -> None:
        """Let another projector have the database. The next run begins again."""
        self._begun = False
        self._feed.forget()
        self._renewal.close()
        self._lock.release()

    def _once(self, block_ms: int | None, stop: threading.Event | None) -> int:
        if not self._begin(stop):
            return 0
        try:
            count = self._renewal.step()
            busy = self._renewal.outdated or self._idle_work
            count += self._feed.once(None if busy else block_ms)
            self._idle_work = self._feed.idle() if block_ms and not count else 0
            self._reporter.tell(self._feed.reached)
        except _STOPS as error:
            self._feed.forget()
            note_stop(self._database, error, to_ms(self._clock()))
            self._stop_noted = True
            raise
        if self._stop_noted:
            clear_stop(self._database)
            self._stop_noted = False
        return count

    def _begin(self, stop: threading.Event | None) -> bool:
        """Take the database, once: no other projector changes it from here on."""
        if self._begun:
            return True
        if not self._lock.acquire(self._lock_timeout_s, stop):
            return False
        try:
            self._feed.begin()
            tidy(self._database)
            with self._database.snapshot() as tx:
                self._stop_noted = read_stop(tx) is not None
        except BaseException:
            self._lock.release()
            raise
        self._begun = True
        return True

    def _raise_failed(self) -> None:
        for status in projection_status(self._database):
            if status.name in self._names and status.failure:
                here = self._feed.stopped.get(status.name)
                raise here or status.failure.raised_by(status.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
