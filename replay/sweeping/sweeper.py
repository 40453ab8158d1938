"""The asyncio form of a service that sweeps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic

from eventstore import EventStore, StoreUnavailable
from eventstore.clock import monotonic
from eventstore.collector import uncollected
from replay.context import RunContext
from replay.expiry import Handover
from replay.sweeping.job import DEFAULT_BATCH_RUNS, C, Job, settled
from replay.sweeping.pace import Pace
from replay.sweeping.taken import Taken


class Sweeper(Generic[C]):
    """The asyncio form of a service that sweeps."""

    def __init__(
        self,
        store: EventStore,
        hand_on: Callable[[RunContext], Awaitable[None] | None],
        job: Job[C],
    ) -> None:
        self._store = store
        self._hand_on = hand_on
        self._job = job
        self._stop = asyncio.Event()
        self._pace = Pace(job.concurrency)
        self._room = asyncio.Semaphore(job.concurrency)
        self._taken = Taken(job.handover_ms)
        self._settling = asyncio.Lock()
        self.counts = job.counts()

    async def run_once(self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None) -> C:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock).

        Raises ``LogRegressed``, where none is due, if the server lost the store or what is archived
        of it, and ``StoreMismatch`` for the archive of another store.
        """
        begun_s, job, operations = monotonic(), self._job, self._store.operations
        due, now_ms = await self._store.perform(job.take(operations, now, limit))
        counts = job.counts()
        counts.scanned = len(due)
        async with asyncio.TaskGroup() as group:
            for part in self._pace.parts(due):
                taken = self._taken.take()
                plan = job.effects(operations, part, now_ms, taken)
                try:
                    with uncollected():
                        effects = await self._store.perform(plan)
                except StoreUnavailable:
                    self._taken.put_back(taken)
                    raise
                for handover, until_s in job.counted(counts, part, effects, begun_s):
                    await self._begin(handover, until_s, counts, group)
            await self._settle()
        self.counts.add(counts)
        job.tell(counts)
        return counts

    async def _begin(
        self, handover: Handover, until_s: float, counts: C, group: asyncio.TaskGroup
    ) -> None:
        """Hand a run on; wait here while as many as may be are handed on by coroutines."""
        await self._room.acquire()
        is_under_way = False
        try:
            if monotonic() >= until_s:
                return  # it waited for its turn too long: others may have it by now
            counts.count(handover)
            result = self._hand_on(handover.context)
            if inspect.isawaitable(result):
                group.create_task(self._finish(handover, result, counts))
                is_under_way = True
                return
        except Exception as error:  # noqa: BLE001 - it is the worker's, and the run comes again
            self._job.raised(counts, handover, error)
        else:
            await self._note_taken(handover, counts)
        finally:
            if not is_under_way:
                self._room.release()

    async def _finish(self, handover: Handover, work: Awaitable[None], counts: C) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - it is the worker's, and the run comes again
            self._job.raised(counts, handover, error)
        else:
            counts.handed(is_taken=True)
            self._taken.add(handover.due)
            await self._settle()
        finally:
            self._room.release()

    async def _note_taken(self, handover: Handover, counts: C) -> None:
        counts.handed(is_taken=True)
        if self._taken.add(handover.due):
            await self._settle()

    async def _settle(self) -> None:
        """Take timers off; those that come while others are on their way go together."""
        async with self._settling:
            together = self._taken.take()
            if together:
                await self._store.perform(settled(self._store.operations, together))

    async def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if (await self.run_once(self._pace.leased)).scanned:
                    continue
            except* StoreUnavailable as errors:
                self._job.logger.warning("%s; trying again", errors.exceptions[0])
            await _until(self._stop, self._job.idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()


async def _until(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
