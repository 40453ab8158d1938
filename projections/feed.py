"""Feeds projections of one database file from a log: rows and positions in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from eventstore.clock import Clock, monotonic, system_clock, to_ms
from eventstore.collector import uncollected
from eventstore.errors import ProjectionFailed
from eventstore.events import DELETED, Position, RecordedEvent
from projections.database import Database, Transaction
from projections.feeding import Stopped, feed, not_yet
from projections.log import Log
from projections.pace import Pace
from projections.positions import Reached, common_positions, write_positions
from projections.projection import Projection
from projections.registry import bind_store, register
from projections.rows.deletions import erase_runs
from projections.standing import FAILED, RUNNING, Standing, load_standings

DEFAULT_BATCH_EVENTS = 8_000
DEFAULT_BATCH_MS = 500
WRITER_PATIENCE_MS = 120_000
"""How long a batch waits for another writer: a rebuild that is switching may take a while."""

_log = logging.getLogger(__name__)


class Feed:
    """Takes batches from a log into the projections of a database, each event once.

    Only one feed at a time may write a projection's rows: its owner holds the lock for that.
    What others change meanwhile (pauses, resumes, rebuilt rows, a database put back in place) is
    seen before each batch: memory is dropped, and the database read again.
    """

    def __init__(
        self,
        store: Log,
        database: Database,
        projections: Sequence[Projection],
        *,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        batch_ms: int = DEFAULT_BATCH_MS,
        clock: Clock = system_clock,
    ) -> None:
        self._store = store
        self._database = database
        self._projections = projections
        self._pace = Pace(batch_events, batch_ms)
        self._clock = clock
        self._standings: dict[str, Standing] = {}
        self._is_behind = True
        self.stopped: dict[str, ProjectionFailed] = {}
        """What projections raised in this process, by their names."""

    @property
    def standings(self) -> Mapping[str, Standing]:
        """Where its projections stand; empty before ``begin``."""
        return self._standings

    @property
    def reached(self) -> Reached:
        """What all projections that are fed have had."""
        return common_positions(
            self._standings[p.name].positions
            for p in self._projections
            if self._standings and self._is_active(p)
        )

    @property
    def outdated(self) -> list[Projection]:
        """The projections whose rows here were made by another version of them."""
        self.begin()
        return [p for p in self._projections if self._standings[p.name].version != p.version]

    def begin(self) -> None:
        """Make sure that store, database and projections fit, and read where each one stands.

        Does nothing the second time. Raises ``StoreMismatch`` for the database of another store.
        """
        if self._standings:
            return
        for projection in self._projections:
            projection.forget()
        with self._database.transaction(patience_ms=WRITER_PATIENCE_MS) as tx:
            bind_store(tx, self._store.identity)
            for projection in self._projections:
                register(tx, projection)
            self._standings = self._found(tx)

    def forget(self) -> None:
        """Drop what is in memory; the next batch begins again from the database."""
        self._standings = {}

    def once(self, block_ms: int | None = None) -> int:
        """Take one batch in, and give how many events it had; 0 at the log's end.

        With ``block_ms``, wait so many milliseconds for the first event. A projection that
        raises is shown as failed, or skips the event; the others go on.
        """
        # At the log's end it may wait for long, and there is little to collect in small batches.
        with uncollected() if self._is_behind else nullcontext():
            count = self._once(block_ms)
        self._is_behind = count >= self._pace.size // 2
        return count

    def _once(self, block_ms: int | None) -> int:
        while True:
            self.begin()
            active = [p for p in self._projections if self._is_active(p)]
            after = common_positions(self._standings[p.name].positions for p in active)
            if active:
                page = self._store.read_log(after, limit=self._pace.size, block_ms=block_ms)
                events = not_yet(page, after)
                if events and self._take(active, events, after):
                    return len(events)
            elif block_ms:
                time.sleep(block_ms / 1_000)  # until somebody resumes one
            if not (active and events) and not self._changed_meanwhile():
                return 0

    def raise_stopped(self) -> None:
        """Raise ``ProjectionFailed`` if one of them, whose rows are made anew, was stopped."""
        for name, error in self.stopped.items():
            raise ProjectionFailed(
                f"the rows of {name!r} could not be made anew, the old ones stand: {error}",
                projection=name,
                event=error.event,
                position=error.position,
            ) from error.__cause__

    def idle(self) -> int:
        """Let projections do what can wait; give how much they did."""
        return sum(one.idle(self._database) for one in self._projections if self._is_active(one))

    def _is_active(self, projection: Projection) -> bool:
        standing = self._standings[projection.name]
        return standing.state == RUNNING and standing.version == projection.version

    def _take(
        self, active: Sequence[Projection], events: Sequence[RecordedEvent], after: Reached
    ) -> bool:
        """Write a batch; False if others changed the database, and it must be read again."""
        began_s = monotonic()
        gained: dict[str, Reached] = {}
        stopped: dict[str, Stopped] = {}
        try:
            with self._database.transaction(patience_ms=WRITER_PATIENCE_MS) as tx:
                if self._found(tx) != self._standings:
                    self.forget()
                    return False
                for projection in active:
                    name = projection.name
                    reached = self._standings[name].positions
                    fresh = events if reached == after else not_yet(events, reached)
                    done, stop = feed(tx, projection, fresh, to_ms(self._clock()))
                    gained[name] = write_positions(tx, name, done)
                    if stop:
                        stopped[name] = stop
                _forget_deleted(tx, events)
        except BaseException:
            self.forget()  # the next batch reads from the database what stands
            raise
        self._note(gained, stopped)
        self._pace.note(len(events), monotonic() - began_s)
        return True

    def _note(self, gained: Mapping[str, Reached], stopped: Mapping[str, Stopped]) -> None:
        """Remember what was committed."""
        for name, positions in gained.items():
            self._standings[name].positions.update(positions)
        for name, stop in stopped.items():
            self._standings[name].state = FAILED
            self.stopped[name] = told = stop.failure.raised_by(name, stop.event)
            told.__cause__ = stop.error
            _log.error("%s", told)

    def _changed_meanwhile(self) -> bool:
        with self._database.snapshot() as tx:
            changed = self._found(tx) != self._standings
        if changed:
            self.forget()
        return changed

    def _found(self, tx: Transaction) -> dict[str, Standing]:
        found = load_standings(tx)
        return {p.name: found[p.name] for p in self._projections if p.name in found}


def _forget_deleted(tx: Transaction, events: Sequence[RecordedEvent]) -> None:
    deleted = [event.run_id for event in events if event.type == DELETED]
    if deleted:
        erase_runs(tx, ["dead_events"], deleted)


def reached_all(reached: Reached, wanted: Mapping[int, Position]) -> bool:
    """Say whether reading has come as far as ``wanted``."""
    return all(p in reached and reached[p].n >= place.n for p, place in wanted.items())
