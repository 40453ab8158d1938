"""Handles what is in hand: runs side by side, each run's events one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from eventstore.clock import monotonic
from eventstore.events import RecordedEvent
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Holding
from eventstore.groups.hand.lane import Lane
from eventstore.groups.handling.delivery import Delivery
from eventstore.groups.handling.handlers import is_async, takes_delivery
from eventstore.groups.handling.plain import Overrun, call_in_thread
from eventstore.groups.hold import Membership
from eventstore.groups.member.attempts import Attempts
from eventstore.groups.member.exchanges import Exchanges

Handler = (
    Callable[[RecordedEvent], Awaitable[object] | object]
    | Callable[[RecordedEvent, Delivery], Awaitable[object] | object]
)
"""Handles one event: ``async def``, or a plain function, which runs in a thread. One that takes a
second parameter is given the ``Delivery``. What an ``async def`` sets in context variables is there
for whichever event comes next, unless it takes it back."""

_TURN_S = 0.01
_CANCEL_GRACE_S = 1.0


class Workers:
    """Up to ``concurrency`` tasks that call the handler; ``changed`` is set when one got on."""

    def __init__(
        self,
        who: Membership,
        hand: Hand,
        handler: Handler,
        concurrency: int,
        attempts: Attempts,
        exchanges: Exchanges,
        changed: asyncio.Event,
    ) -> None:
        self._who = who
        self._hand = hand
        self._concurrency = concurrency
        self._attempts = attempts
        self._exchanges = exchanges
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_alone = False
        self._is_ending = False
        self._timers: dict[asyncio.TimerHandle, Lane] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._call: Callable[..., Awaitable[object]] = handler  # type: ignore[assignment]
        self._takes_delivery = takes_delivery(handler)
        if not is_async(handler):
            self._threads = ThreadPoolExecutor(concurrency, f"runstore-{who.group}")
            self._call = partial(call_in_thread, self._threads, handler)
        self.failure: BaseException | None = None
        """What broke a worker itself, not what a handler raised."""

    @property
    def has_room(self) -> bool:
        """Whether more runs could be handled than are ready."""
        return len(self._tasks) + len(self._hand.ready) < self._concurrency

    @property
    def are_busy(self) -> bool:
        """Whether any handler runs or is about to."""
        return bool(self._tasks)

    def begin(self) -> None:
        """Start workers for the lanes that are ready; what must go alone waits for the others."""
        if self._is_alone or self.failure is not None:
            return
        if self._hand.ready_alone:
            if not self._tasks:
                self._is_alone = True
                self._start(self._work_alone())
            return
        for _ in range(min(len(self._hand.ready), self._concurrency - len(self._tasks))):
            self._start(self._work())

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work, name=f"runstore-{self._who.group}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failure = error
        if not self._tasks:
            self._is_alone = False
        self._changed.set()

    async def _work(self) -> None:
        hand, task = self._hand, _this_task()
        turn_ends_s = monotonic() + _TURN_S
        while not hand.ready_alone and (lane := hand.next_lane()):
            while not lane.suspects and hand.may_go_on(lane):
                if not lane.events and not await self._attempts.aside.refill(lane):
                    break
                if not await self._handle(lane, task):
                    break
                if monotonic() > turn_ends_s:
                    # A handler that never waits must not keep heartbeats and stop() waiting.
                    await asyncio.sleep(0)
                    turn_ends_s = monotonic() + _TURN_S
            else:
                hand.make_ready(lane)

    async def _work_alone(self) -> None:
        task = _this_task()
        while lane := self._hand.next_alone():
            # What is through must not be pending should this one kill the process: it would seem
            # to have been at work too.
            await self._attempts.asking.until_done([lane.holding], self._exchanges.acknowledge)
            if not self._hand.may_go_on(lane):
                self._hand.make_ready(lane)
                continue
            has_more = lane.events or await self._attempts.aside.refill(lane)
            if has_more and await self._handle(lane, task):
                self._hand.make_ready(lane)

    async def _handle(self, lane: Lane, task: asyncio.Task[Any]) -> bool:
        """Handle a lane's first event; say whether the lane can go on at once."""
        holding = lane.holding
        holding.working += 1  # until the outcome is noted, nobody else may have the partition
        try:
            return await self._attempt(lane, task)
        finally:
            holding.working -= 1
            self._changed.set()

    async def _attempt(self, lane: Lane, task: asyncio.Task[Any]) -> bool:
        event, holding, attempt = self._hand.pop(lane), lane.holding, 1
        if holding.deliveries or lane.is_redriven:
            attempt = await self._count(lane, event)
            if not attempt:
                return False
        try:
            if self._takes_delivery:
                await self._call(event, delivery_of(holding, attempt))
            else:
                await self._call(event)
            if task.cancelling():
                await asyncio.sleep(0)  # what the handler did to its task must not meet the next
        except asyncio.CancelledError as error:
            if self._is_ending:
                # Until the thread ends, nobody else should have the partition.
                holding.is_overrun |= isinstance(error, Overrun)
                raise
            failure: BaseException = error
        except (SystemExit, KeyboardInterrupt, GeneratorExit):
            # The process ends, and may end by this event: not in order, so that it is counted.
            holding.is_overrun = True
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its failure
            failure = error
        else:
            self._hand.counts.handled += 1
            return await self._attempts.through(lane, event)
        pause_s = await self._attempts.failed(lane, event, failure, attempt)
        self._later(pause_s, lane)
        _end_if_cancelled(task, failure)
        return False

    async def _count(self, lane: Lane, event: RecordedEvent) -> int:
        attempt = await self._attempts.begin(lane, event)
        # Once counted it is handled, also of a partition that is about to be handed on.
        if not attempt or self._hand.holds(lane.holding):
            return attempt
        self._attempts.not_begun(lane, event, attempt)
        return 0

    def _later(self, pause_s: float | None, lane: Lane) -> None:
        if pause_s is None:
            return

        def again() -> None:
            del self._timers[timer]
            self._hand.make_ready(lane)
            self._changed.set()

        timer = asyncio.get_running_loop().call_later(pause_s, again)
        self._timers[timer] = lane

    def stop_retrying(self) -> None:
        """Let failed runs wait on; what they hold stays pending for the group."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def cancel(self) -> None:
        """Cut short what still runs. A plain function cannot be: its thread goes on alone."""
        self.stop_retrying()
        self._is_ending = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_GRACE_S)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def delivery_of(holding: Holding, attempt: int) -> Delivery:
    """Say how an event comes to its handler."""
    hold = holding.hold
    return Delivery(hold.group, hold.member, hold.partition, hold.epoch, attempt)


def _this_task() -> asyncio.Task[Any]:
    return cast("asyncio.Task[Any]", asyncio.current_task())


def _end_if_cancelled(task: asyncio.Task[Any], failure: BaseException) -> None:
    """End a task that was cancelled by its handler, or with everything: another one goes on."""
    if task.cancelling() and isinstance(failure, asyncio.CancelledError):
        raise failure
