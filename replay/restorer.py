"""The service that lets pause windows end: any number of them, each window once."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from eventstore import EventStore, InvalidArgument, StoreUnavailable, SyncEventStore
from eventstore.clock import monotonic, to_ms
from eventstore.commands import server_time
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import DueTimer
from replay.context import RunContext
from replay.decision import Decision
from replay.expiry import Effect, Handover, take_effect
from replay.restore_counts import RestoreCounts

DEFAULT_LEASE_MS = 30_000
DEFAULT_HANDOVER_MS = 60_000
DEFAULT_IDLE_MS = 200
DEFAULT_BATCH_RUNS = 100
DEFAULT_CONCURRENCY = 16

COMES_AGAIN = "the %s timer of run %r could not be dealt with, it comes again"
logger = logging.getLogger("runstore.restorer")


@dataclass(frozen=True, slots=True)
class _Round:
    """The plans of one round."""

    operations: Operations
    lease_ms: int
    handover_ms: int
    begun_s: float = field(default_factory=monotonic)

    def due(self, now: datetime | None, limit: int) -> Plan[tuple[list[DueTimer], int]]:
        now_ms = None if now is None else to_ms(now)
        due = yield from self.operations.due(now_ms, limit, self.lease_ms)
        as_of_ms = now_ms
        if as_of_ms is None:
            (as_of_ms,) = yield [server_time()]
        return due, as_of_ms

    def effect(self, due: DueTimer, now_ms: int) -> Plan[Effect]:
        if monotonic() - self.begun_s > self.lease_ms / 1000:
            return Decision.WAIT  # it waited for its turn too long: others may have it by now
        return (yield from take_effect(self.operations, due, now_ms, self.handover_ms))


class Restorer:
    """Lets windows end and hands restored runs to ``on_restored``, sync or async.

    However many restorers run, each window takes its effect once, and each restored run is
    handed over once. Only when a restorer dies, or the callback raises or takes longer than
    ``handover_ms``, between recording the restore and the callback's return, is the run handed
    over again, ``handover_ms`` later and then every ``lease_ms``, unless a worker has appended
    to it since. So let the callback pass the run on and return; a worker that appends with
    ``expected=context.version`` is alone even then.

    What goes wrong with one run is logged and counted, and keeps no other run waiting.
    """

    def __init__(
        self,
        store: EventStore,
        on_restored: Callable[[RunContext], Awaitable[None] | None],
        *,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        _check(on_restored, lease_ms, handover_ms, idle_ms, concurrency)
        self._store = store
        self._on_restored = on_restored
        self._lease_ms = lease_ms
        self._handover_ms = handover_ms
        self._idle_ms = idle_ms
        self._concurrency = concurrency
        self._stop = asyncio.Event()
        self.counts = RestoreCounts()

    async def run_once(
        self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None
    ) -> RestoreCounts:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock)."""
        plans = _Round(self._store.operations, self._lease_ms, self._handover_ms)
        due, now_ms = await self._store.perform(plans.due(now, limit))
        counts = RestoreCounts(due=len(due))
        room = asyncio.Semaphore(self._concurrency)

        async def deal_with(timer: DueTimer) -> None:
            async with room:
                try:
                    effect = await self._store.perform(plans.effect(timer, now_ms))
                    counts.count(effect)
                    if isinstance(effect, Handover) and not await self._hand_over(effect):
                        counts.handovers_failed += 1
                except Exception:
                    logger.exception(COMES_AGAIN, timer.timer.kind, timer.timer.run_id)
                    counts.errors += 1

        async with asyncio.TaskGroup() as group:
            for timer in due:
                group.create_task(deal_with(timer))
        self.counts.add(counts)
        return counts

    async def _hand_over(self, handover: Handover) -> bool:
        try:
            result = self._on_restored(handover.context)
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("the worker of run %r raised", handover.context.run_id)
            return False
        await self._store.perform(self._store.operations.settle(handover.due))
        return True

    async def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if (await self.run_once()).due:
                    continue
            except StoreUnavailable as error:
                logger.warning("%s; trying again", error)
            await _until(self._stop, self._idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()


class SyncRestorer:
    """The blocking twin of ``Restorer``: deals with one run after another."""

    def __init__(
        self,
        store: SyncEventStore,
        on_restored: Callable[[RunContext], None],
        *,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
    ) -> None:
        _check(on_restored, lease_ms, handover_ms, idle_ms)
        if inspect.iscoroutinefunction(on_restored):
            raise InvalidArgument("on_restored is async: use Restorer, nobody would await it here")
        self._store = store
        self._on_restored = on_restored
        self._lease_ms = lease_ms
        self._handover_ms = handover_ms
        self._idle_ms = idle_ms
        self._stop = threading.Event()
        self.counts = RestoreCounts()

    def run_once(
        self, limit: int = DEFAULT_BATCH_RUNS, now: datetime | None = None
    ) -> RestoreCounts:
        """Deal with up to ``limit`` timers that are due by ``now`` (the server's clock)."""
        plans = _Round(self._store.operations, self._lease_ms, self._handover_ms)
        due, now_ms = self._store.perform(plans.due(now, limit))
        counts = RestoreCounts(due=len(due))
        for timer in due:
            try:
                effect = self._store.perform(plans.effect(timer, now_ms))
                counts.count(effect)
                if isinstance(effect, Handover) and not self._hand_over(effect):
                    counts.handovers_failed += 1
            except Exception:
                logger.exception(COMES_AGAIN, timer.timer.kind, timer.timer.run_id)
                counts.errors += 1
        self.counts.add(counts)
        return counts

    def _hand_over(self, handover: Handover) -> bool:
        try:
            self._on_restored(handover.context)
        except Exception:
            logger.exception("the worker of run %r raised", handover.context.run_id)
            return False
        self._store.perform(self._store.operations.settle(handover.due))
        return True

    def run(self) -> None:
        """Go on until ``stop``; looks for due timers every ``idle_ms``.

        A store that cannot be reached is asked again, for ever.
        """
        while not self._stop.is_set():
            try:
                if self.run_once().due:
                    continue
            except StoreUnavailable as error:
                logger.warning("%s; trying again", error)
            self._stop.wait(self._idle_ms / 1000)

    def stop(self) -> None:
        """Let ``run`` return after the round under way."""
        self._stop.set()


async def _until(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def _check(on_restored: object, *bounds: int) -> None:
    if not callable(on_restored):
        raise InvalidArgument(f"on_restored must be callable, not {on_restored!r}")
    for bound in bounds:
        if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
            raise InvalidArgument(f"bounds are whole numbers above 0, not {bound!r}")
