"""Handles what is in hand: runs side by side, each run's events one after another."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from eventstore.clock import monotonic
from eventstore.events import RecordedEvent
from eventstore.groups.backoff import Backoff
from eventstore.groups.commands import Membership
from eventstore.groups.hand import Hand, Lane

Handler = Callable[[RecordedEvent], Awaitable[object] | object]
"""Handles one event: ``async def``, or a plain function, which runs in a thread."""

_log = logging.getLogger(__name__)
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
        backoff: Backoff,
        changed: asyncio.Event,
    ) -> None:
        self._who = who
        self._hand = hand
        self._handler = handler
        self._concurrency = concurrency
        self._backoff = backoff
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._call = handler
        if not is_async(handler):
            self._threads = ThreadPoolExecutor(concurrency, f"runstore-{who.group}")
            self._call = self._call_in_thread
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
        """Start workers for the lanes that are ready."""
        for _ in range(min(len(self._hand.ready), self._concurrency - len(self._tasks))):
            task = asyncio.create_task(self._work(), name=f"runstore-{self._who.group}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failure = error
        self._changed.set()

    async def _work(self) -> None:
        turn_ends_s = monotonic() + _TURN_S
        while self._hand.ready:
            lane = self._hand.ready.popleft()
            while lane.events:
                if not await self._handle(lane, lane.events.popleft()):
                    break
                if monotonic() > turn_ends_s:
                    # A handler that never waits must not keep heartbeats and stop() waiting.
                    await asyncio.sleep(0)
                    turn_ends_s = monotonic() + _TURN_S
            else:
                self._hand.end(lane)

    async def _handle(self, lane: Lane, event: RecordedEvent) -> bool:
        try:
            await self._call(event)  # type: ignore[misc]
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self._wait_and_retry(lane, event, error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its failure
            self._wait_and_retry(lane, event, error)
            return False
        self._hand.done(lane, event)
        self._changed.set()
        return True

    async def _call_in_thread(self, event: RecordedEvent) -> None:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, context.run, self._call_plain, event)
        if inspect.isawaitable(result):
            await result

    def _call_plain(self, event: RecordedEvent) -> object:
        try:
            return self._handler(event)
        except StopIteration as error:  # no future can carry one: it would never end
            raise RuntimeError("the handler raised StopIteration") from error

    def _wait_and_retry(self, lane: Lane, event: RecordedEvent, error: BaseException) -> None:
        self._hand.failed(lane, event)
        pause_s = self._backoff.pause_s(lane.failures)
        _log.warning(
            "group %r: handling %s, version %d of run %r, failed %d times (%s); again in %.1f s",
            self._who.group, event.type, event.version, event.run_id, lane.failures,
            type(error).__name__, pause_s, exc_info=error if lane.failures == 1 else None,
        )  # fmt: skip
        self._later(pause_s, lane)

    def _later(self, pause_s: float, lane: Lane) -> None:
        def again() -> None:
            self._timers.discard(timer)
            self._hand.again(lane)
            self.begin()
            self._changed.set()

        timer = asyncio.get_running_loop().call_later(pause_s, again)
        self._timers.add(timer)

    def stop_retrying(self) -> None:
        """Let failed runs wait on; what they hold stays pending for the group."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def cancel(self) -> None:
        """Cut short what still runs. A plain function cannot be: its thread goes on alone."""
        self.stop_retrying()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_GRACE_S)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def is_async(handler: Any) -> bool:
    """Say whether calling this gives something to await."""
    call = getattr(handler, "__call__", None)  # noqa: B004 - an object with an async __call__
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
