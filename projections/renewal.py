"""Rebuilds projections whose version has changed, batch by batch beside the live feed."""

from __future__ import annotations

import logging

from eventstore.clock import Clock, to_ms
from eventstore.errors import ProjectionFailed, StoreMismatch, StoreUnavailable
from projections.database import Database
from projections.failures import Failure
from projections.feed import Feed
from projections.log import Log
from projections.projection import Projection
from projections.rebuilding import Rebuild
from projections.standing import RUNNING, write_failure

_log = logging.getLogger(__name__)


class Renewal:
    """Makes the rows of outdated projections anew; the old ones are read until the switch."""

    def __init__(self, store: Log, database: Database, feed: Feed, clock: Clock) -> None:
        self._store = store
        self._database = database
        self._feed = feed
        self._clock = clock
        self._rebuild: Rebuild | None = None

    @property
    def outdated(self) -> list[Projection]:
        """The projections that want it, and are neither paused nor failed."""
        outdated = self._feed.outdated  # asked first: it may read the standings again
        standings = self._feed.standings
        return [p for p in outdated if standings[p.name].state == RUNNING]

    def step(self) -> int:
        """Read one batch, or make the switch; give how many events were read.

        Does nothing while another process rebuilds. An event that cannot be taken shows its
        projection as failed.
        """
        self._feed.begin()
        if not self._rebuild and not self._begun():
            return 0
        assert self._rebuild  # noqa: S101 - it has just begun
        try:
            count = self._rebuild.step()
            if not count:
                _log.info("projections made anew: %s", self._rebuild.switch())
                self.close()
        except StoreUnavailable:
            raise  # it goes on when the store is there again
        except ProjectionFailed as error:
            self.close()
            self._show_failed(error)
            return 0
        except BaseException:
            self.close()
            raise
        return count

    def close(self) -> None:
        """Stop here; whoever comes next goes on."""
        if self._rebuild:
            self._rebuild.close()
            self._rebuild = None

    def _begun(self) -> bool:
        outdated = self.outdated
        if not outdated:
            return False
        try:
            self._rebuild = Rebuild(self._store, self._database, outdated, clock=self._clock)
        except StoreMismatch as held:
            if getattr(held, "holder_pid", None) is None:
                raise
            return False
        return True

    def _show_failed(self, error: ProjectionFailed) -> None:
        _log.error("%s", error)
        cause = error.__cause__
        failure = Failure.of(error.event, cause if isinstance(cause, Exception) else error)
        with self._database.transaction() as tx:
            write_failure(tx, error.projection, failure, to_ms(self._clock()))
        self._feed.stopped[error.projection] = error
        self._feed.forget()
