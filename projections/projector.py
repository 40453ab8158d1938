"""The projector: reads the log, and writes rows and positions in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from eventstore.errors import (
    HistoryGap,
    InvalidArgument,
    ProjectionFailed,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.events import Position, RecordedEvent
from projections.database import Database, Transaction
from projections.database.writer_lock import WriterLock
from projections.log import Log
from projections.positions import (
    DEFAULT_WAIT_S,
    Appended,
    Reached,
    common_positions,
    load_positions,
    wait_for,
    write_positions,
)
from projections.projection import Projection
from projections.registry import bind_store, register
from projections.runs import RunProjection
from projections.status import ProjectionStatus, projection_status
from projections.timelines import TimelineProjection

BUILT_IN: tuple[type[Projection], ...] = (RunProjection, TimelineProjection)
"""What ``Runs``, ``Timeline`` and ``Pauses`` read."""

DEFAULT_BATCH_EVENTS = 2_000
DEFAULT_BLOCK_MS = 500
DEFAULT_RETRY_PAUSE_MS = 100
DEFAULT_RETRY_PAUSE_MAX_MS = 5_000

OnProgress = Callable[[int], None]
"""Is told, after each batch, how many events the call has projected so far."""

_log = logging.getLogger(__name__)


class Projector:
    """Feeds the projections of a database from the log of a store.

    Each event counts once: rows and positions are committed together, and after a kill anywhere
    the projector goes on where the last commit stands. ``projections`` are classes, each made
    anew here, or instances for this projector alone; one that is new to the database catches up
    from the log's beginning. From its first run until ``close`` this is the only projector of
    its database. One thread at a time may run it.

    - ``batch_events``: the most events in one transaction.
    - ``block_ms``: how long ``run`` waits at the store for events before it looks at ``stop``.
    - ``retry_pause_ms``, doubling up to ``retry_pause_max_ms``: how long ``run`` waits between
      attempts while the store cannot be reached.
    """

    def __init__(
        self,
        store: Log,
        database: Database,
        projections: Iterable[type[Projection] | Projection] = BUILT_IN,
        *,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        block_ms: int = DEFAULT_BLOCK_MS,
        retry_pause_ms: int = DEFAULT_RETRY_PAUSE_MS,
        retry_pause_max_ms: int = DEFAULT_RETRY_PAUSE_MAX_MS,
    ) -> None:
        if min(batch_events, block_ms, retry_pause_ms, retry_pause_max_ms) < 1:
            raise InvalidArgument("the settings of a projector must be 1 or more")
        self._store = store
        self._database = database
        self._projections = [one() if isinstance(one, type) else one for one in projections]
        self._names = [projection.name for projection in self._projections]
        if len(set(self._names)) < max(1, len(self._names)):
            raise InvalidArgument("give at least one projection, and each name once")
        self._batch_events = batch_events
        self._block_ms = block_ms
        self._retry_pause_s = retry_pause_ms / 1_000
        self._retry_pause_max_s = retry_pause_max_ms / 1_000
        self._lock = WriterLock(database.path)
        self._reached: dict[str, dict[int, Position]] = {}

    def run_once(self, *, block_ms: int | None = None) -> int:
        """Project one batch, and give how many events it had; 0 at the end of the log.

        With ``block_ms``, wait so many milliseconds for events at the end. Raises
        ``StoreMismatch`` while another projector runs, or for the database of another store;
        ``ProjectionFailed`` if a projection raised; ``HistoryGap`` and ``LogRegressed`` if the
        log is not what it was. Nothing of a batch that raised is written.
        """
        self._begin()
        after = common_positions(self._reached.values())
        events = self._store.read_log(after, limit=self._batch_events, block_ms=block_ms)
        if events:
            self._project(events, after)
        return len(events)

    def run_to_end(self, on_progress: OnProgress | None = None) -> int:
        """Project until the log ends, and give how many events that were.

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

        A store that cannot be reached is asked again; all else raises as ``run_once`` does.
        """
        stop = stop or threading.Event()
        done, pause_s = 0, self._retry_pause_s
        while not stop.is_set():
            try:
                count = self.run_once(block_ms=self._block_ms)
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

    def wait_for(
        self, appended: Appended | Iterable[Position], timeout_s: float = DEFAULT_WAIT_S
    ) -> None:
        """Wait until this projector's rows show what was appended. Raises ``WaitTimeout``."""
        wait_for(self._database, appended, timeout_s, projections=self._names)

    def status(self) -> list[ProjectionStatus]:
        """Say how far each projection of the database is, and how far behind the log."""
        return projection_status(self._database, self._store.tails())

    def close(self) -> None:
        """Let another projector have the database. The next run begins again."""
        self._reached = {}
        self._lock.release()

    def _begin(self) -> None:
        """Take the database, once: nobody else changes it from here on."""
        if self._reached:
            return
        self._lock.acquire()
        try:
            self._reached = self._registered()
        except BaseException:
            self._lock.release()
            raise

    def _registered(self) -> dict[str, dict[int, Position]]:
        """Make sure that store, database and projections fit; give where each one stands."""
        for projection in self._projections:
            projection.forget()
        with self._database.transaction() as tx:
            bind_store(tx, self._store.identity)
            for projection in self._projections:
                register(tx, projection)
            return {name: load_positions(tx, name) for name in self._names}

    def _project(self, events: Sequence[RecordedEvent], after: Reached) -> None:
        gained: dict[str, Reached] = {}
        try:
            with self._database.transaction() as tx:
                for projection in self._projections:
                    fresh = _not_yet(events, self._reached[projection.name], after)
                    _feed(tx, projection, fresh)
                    gained[projection.name] = write_positions(tx, projection.name, fresh)
        except BaseException:
            self._reached = {}  # the next run reads from the database what stands
            raise
        for name, positions in gained.items():
            self._reached[name].update(positions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _not_yet(
    events: Sequence[RecordedEvent], reached: Reached, after: Reached
) -> Sequence[RecordedEvent]:
    """Leave out what a projection that is ahead of the others has had."""
    if reached == after:
        return events
    start = (0, 0, 0)
    return [e for e in events if e.position > reached.get(e.position.partition, start)]


def _feed(tx: Transaction, projection: Projection, events: Sequence[RecordedEvent]) -> None:
    if not events:
        return
    event: RecordedEvent | None = None
    try:
        for event in events:
            projection.apply(tx, event)
        event = None
        projection.flush(tx)
    except (ServerRefused, StoreUnavailable, StoreMismatch, HistoryGap):
        raise  # the disk or the log, not the projection
    except Exception as error:
        raise _failure(projection, event, events[-1], error) from error


def _failure(
    projection: Projection, event: RecordedEvent | None, last: RecordedEvent, error: Exception
) -> ProjectionFailed:
    """Name the event, or for rows that were kept back the end of the batch."""
    place = event or last
    what = f"take {place.type}" if event else "write the batch that ends"
    return ProjectionFailed(
        f"projection {projection.name!r} could not {what} at version {place.version} of run "
        f"{place.run_id!r} ({type(error).__name__}: {error}); nothing of the batch was written",
        projection=projection.name,
        event=event,
        position=place.position,
    )
