"""What restorers and reconcilers have in common: due timers taken, dealt with, runs handed on."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, Self, TypeVar

from eventstore import EventStore, InvalidArgument, StoreUnavailable, SyncEventStore
from eventstore.abreast import abreast
from eventstore.clock import monotonic, to_ms
from eventstore.commands import server_time, settle_timer
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import DueTimer
from replay.context import RunContext
from replay.expiry import Effect, Handover

DEFAULT_LEASE_MS = 30_000
DEFAULT_HANDOVER_MS = 60_000
DEFAULT_IDLE_MS = 200
DEFAULT_BATCH_RUNS = 100
DEFAULT_CONCURRENCY = 32

MAX_SETTLE_S = 1.0

COMES_AGAIN = "the %s timer of run %r could not be dealt with, it comes again"
RAISED = "the worker of run %r raised"


class Counts(Protocol):
    """Counts what became of timers."""

    scanned: int

    def count(self, effect: Effect) -> None:
        """Count what a timer led to."""

    def error(self) -> None:
        """Count a timer that could not be dealt with."""

    def handed(self, *, is_taken: bool) -> None:
        """Count whether a worker took a run."""

    def add(self, other: Self) -> None:
        """Add the counts of another round."""


C = TypeVar("C", bound=Counts)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a timer could not be dealt with."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Job(Generic[C]):
    """What a service sweeps, as plans, and on what terms."""

    effect: Callable[[Operations, DueTimer, int], Plan[Effect]]
    """What a timer leads to, as of a time in ms since 1970."""
    counts: type[C]
    logger: logging.Logger
    stalls: bool
    lease_ms: int
    handover_ms: int
    idle_ms: int
    together: int
    """So many runs are read and appended to together, and handed on at the same time."""

    def take(
        self, operations: Operations, now: datetime | None, limit: int
    ) -> Plan[tuple[list[DueTimer], int]]:
        """Take due timers, and tell as of which time."""
        now_ms = None if now is None else to_ms(now)
        due = yield from operations.due(now_ms, limit, self.lease_ms, stalls=self.stalls)
        as_of_ms = now_ms
        if as_of_ms is None:
            (as_of_ms,) = yield [server_time()]
        return due, as_of_ms

    def parts(self, due: Sequence[DueTimer]) -> Iterator[Sequence[DueTimer]]:
        """Cut timers into those that are dealt with together."""
        for begin in range(0, len(due), self.together):
            yield due[begin : begin + self.together]

    def effects(
        self,
        operations: Operations,
        due: Sequence[DueTimer],
        now_ms: int,
        taken: Sequence[DueTimer],
    ) -> Plan[list[Any]]:
        """Deal with timers side by side; give the effect of each, or a ``Failure``.

        The timers of runs that were ``taken`` before are taken off their index on the way.
        """
        plans: list[Plan[Any]] = [_guarded(self.effect(operations, timer, now_ms)) for timer in due]
        tidying = [settled(operations, taken)] if taken else []
        effects = yield from abreast([*plans, *tidying])
        for error in effects[len(plans) :]:
            if isinstance(error, Exception):
                raise error
        return effects[: len(plans)]

    @property
    def settle_within_s(self) -> float:
        """How long the timer of a run that was taken may wait for others."""
        return min(MAX_SETTLE_S, self.handover_ms / 4_000)

    def counted(
        self, counts: C, due: Sequence[DueTimer], effects: Sequence[Any], begun_s: float
    ) -> Iterator[tuple[Handover, float]]:
        """Count effects; give the runs that are to be handed on, and until when by the clock."""
        for timer, effect in zip(due, effects, strict=True):
            if isinstance(effect, Exception):
                effect = Failure(effect)  # noqa: PLW2901 - abreast gives the store's errors so
            if isinstance(effect, Failure):
                run_id, kind = timer.timer.run_id, timer.timer.kind
                self.logger.error(COMES_AGAIN, kind, run_id, exc_info=effect.error)
                counts.error()
                continue
            if not isinstance(effect, Handover):
                counts.count(effect)
                continue
            is_fresh = effect.due is not timer
            yield effect, begun_s + (self.handover_ms if is_fresh else self.lease_ms) / 1000

    def raised(self, counts: C, handover: Handover, error: Exception) -> None:
        """Count and log a worker that could not be reached."""
        self.logger.error(RAISED, handover.context.run_id, exc_info=error)
        counts.handed(is_taken=False)

    def tell(self, counts: C) -> None:
        """Log what a round did."""
        if counts.scanned:
            self.logger.info("%s", counts)


def _guarded(plan: Plan[Effect]) -> Plan[Effect | Failure]:
    """Let what goes wrong with one run keep no other waiting."""
    try:
        return (yield from plan)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - logged with its run
        return Failure(error)


def settled(operations: Operations, due: Sequence[DueTimer]) -> Plan[None]:
    """Take the timers of runs that workers took off their index."""
    yield [settle_timer(operations.keys, each, is_taken=True) for each in due]


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
        self._room = asyncio.Semaphore(job.together)
        self._taken: list[DueTimer] = []
        self._waiting_since_s = 0.0
        self._settling = asyncio.Lock()
        self.counts = job.counts()

    async def run_once(self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None) -> C:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock)."""
        begun_s, job, operations = monotonic(), self._job, self._store.operations
        due, now_ms = await self._store.perform(job.take(operations, now, limit))
        counts = job.counts()
        counts.scanned = len(due)
        async with asyncio.TaskGroup() as group:
            for part in job.parts(due):
                taken, self._taken = self._taken, []
                plan = job.effects(operations, part, now_ms, taken)
                try:
                    effects = await self._store.perform(plan)
                except StoreUnavailable:
                    self._taken += taken
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
            self._taken.append(handover.due)
            await self._settle()
        finally:
            self._room.release()

    async def _note_taken(self, handover: Handover, counts: C) -> None:
        counts.handed(is_taken=True)
        if not self._taken:
            self._waiting_since_s = monotonic()
        self._taken.append(handover.due)
        if monotonic() - self._waiting_since_s > self._job.settle_within_s:
            await self._settle()

    async def _settle(self) -> None:
        """Take timers off; those that come while others are on their way go together."""
        async with self._settling:
            together, self._taken = self._taken, []
            if together:
                await self._store.perform(settled(self._store.operations, together))

    async def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if (await self.run_once()).scanned:
                    continue
            except* StoreUnavailable as errors:
                self._job.logger.warning("%s; trying again", errors.exceptions[0])
            await _until(self._stop, self._job.idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()


class SyncSweeper(Generic[C]):
    """The blocking form: hands on one run after another."""

    def __init__(
        self, store: SyncEventStore, hand_on: Callable[[RunContext], None], job: Job[C]
    ) -> None:
        self._store = store
        self._hand_on = hand_on
        self._job = job
        self._stop = threading.Event()
        self._taken: list[DueTimer] = []
        self._waiting_since_s = 0.0
        self.counts = job.counts()

    def run_once(self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None) -> C:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock)."""
        begun_s, job, operations = monotonic(), self._job, self._store.operations
        due, now_ms = self._store.perform(job.take(operations, now, limit))
        counts = job.counts()
        counts.scanned = len(due)
        for part in job.parts(due):
            taken, self._taken = self._taken, []
            try:
                effects = self._store.perform(job.effects(operations, part, now_ms, taken))
            except StoreUnavailable:
                self._taken += taken
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
        if not self._taken:
            self._waiting_since_s = monotonic()
        self._taken.append(handover.due)
        if monotonic() - self._waiting_since_s > self._job.settle_within_s:
            self._settle()

    def _settle(self) -> None:
        together, self._taken = self._taken, []
        if together:
            self._store.perform(settled(self._store.operations, together))

    def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if self.run_once().scanned:
                    continue
            except StoreUnavailable as error:
                self._job.logger.warning("%s; trying again", error)
            self._stop.wait(self._job.idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()


async def _until(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def check(name: str, callback: object, *bounds: int, blocking: bool = False) -> None:
    """Check what a service is made with. Raises ``InvalidArgument``."""
    if not callable(callback):
        raise InvalidArgument(f"{name} must be callable, not {callback!r}")
    if blocking and inspect.iscoroutinefunction(callback):
        raise InvalidArgument(f"{name} is async: use the asyncio form, nobody would await it here")
    for bound in bounds:
        if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
            raise InvalidArgument(f"bounds are whole numbers above 0, not {bound!r}")
