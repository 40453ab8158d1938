"""The blocking form of a service that sweeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Generic

from eventstore import StoreUnavailable, SyncEventStore
from eventstore.clock import monotonic
from eventstore.collector import uncollected
from replay.context import RunContext
from replay.expiry import Handover
from replay.sweeping.job import DEFAULT_BATCH_RUNS, C, Job, settled
from replay.sweeping.pace import Pace
from replay.sweeping.taken import Taken


class SyncSweeper(Generic[C]):
    """The blocking form: hands on one run after another."""

    def __init__(
        self, store: SyncEventStore, hand_on: Callable[[RunContext], None], job: Job[C]
    ) -> None:
        self._store = store
        self._hand_on = hand_on
        self._job = job
        self._stop = threading.Event()
        self._pace = Pace(job.concurrency)
        self._taken = Taken(job.handover_ms)
        self.counts = job.counts()

    def run_once(self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None) -> C:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock).

        Raises ``LogRegressed``, where none is due, if the server lost the store or what is archived
        of it, and ``StoreMismatch`` for the archive of another store.
        """
        begun_s, job, operations = monotonic(), self._job, self._store.operations
        due, now_ms = self._store.perform(job.take(operations, now, limit))
        counts = job.counts()
        counts.scanned = len(due)
        for part in self._pace.parts(due):
            taken = self._taken.take()
            try:
                with uncollected():
                    effects = self._store.perform(job.effects(operations, part, now_ms, taken))
            except StoreUnavailable:
                self._taken.put_back(taken)
                raise
            for handover, until_s in job.counted(counts, part, effects, begun_s):
                self._hand_over(handover, until_s, counts)
        self._settle()
        self.counts.add(counts)
        job.tell(counts)
        return counts

    def _hand_over(self, handover: Handover, until_s: float, counts: C) -> None:
        if monotonic() >= until_s:
            return  # it waited for its turn too long: others may have it by now
        counts.count(handover)
        try:
            self._hand_on(handover.context)
        except Exception as error:  # noqa: BLE001 - it is the worker's, and the run comes again
            self._job.raised(counts, handover, error)
            return
        counts.handed(is_taken=True)
        if self._taken.add(handover.due):
            self._settle()

    def _settle(self) -> None:
        together = self._taken.take()
        if together:
            self._store.perform(settled(self._store.operations, together))

    def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if self.run_once(self._pace.leased).scanned:
                    continue
            except StoreUnavailable as error:
                self._job.logger.warning("%s; trying again", error)
            self._stop.wait(self._job.idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()
