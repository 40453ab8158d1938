"""One stay of one member in a group: the loop that takes, hands out and acknowledges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore.clock import monotonic
from eventstore.errors import RunStoreError, ServerRefused, StoreUnavailable
from eventstore.groups.hand import Hand
from eventstore.groups.intake import Intake
from eventstore.groups.workers import Workers

if TYPE_CHECKING:
    from eventstore.store import EventStore

_log = logging.getLogger(__name__)
_BEATS_A_CLAIM = 3
_LEAVE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a member takes, and how long it waits."""

    batch_events: int
    max_in_hand_events: int
    claim_after_ms: int


class Member:
    """Takes events, lets workers handle them, acknowledges.

    One loop makes every call that changes something at the server, so that none overtakes
    another. ``changed`` wakes it.
    """

    def __init__(
        self,
        store: EventStore,
        bounds: Bounds,
        intake: Intake,
        hand: Hand,
        workers: Workers,
        changed: asyncio.Event,
    ) -> None:
        self._store = store
        self._bounds = bounds
        self._intake = intake
        self._hand = hand
        self._workers = workers
        self._changed = changed
        self._news: asyncio.Task[bool] | None = None
        self._at_end = False
        self._next_beat_s = monotonic()

    async def follow(self, is_over: Callable[[], bool], *, to_end: bool) -> None:
        """Go on until ``is_over``, or with ``to_end`` until everything is handled.

        Without ``to_end`` a store that cannot be reached is asked again, for ever.
        """
        while not is_over():
            self._changed.clear()
            try:
                if await self._advance(wait=not to_end):
                    continue
            except StoreUnavailable as error:
                if to_end:
                    raise
                _log.warning("%s: %s; trying again", self._intake.who, error)
                continue
            if to_end and not self._hand.held:
                return
            await self._rest()

    async def once(self) -> None:
        """Take one batch and handle and acknowledge it, except for runs that failed."""
        await self._beat()
        if self._has_room:
            await self._take(check_end=True)
        await self._drain()
        await self._acknowledge()

    def wake(self) -> None:
        """Let ``follow`` look again whether it is over."""
        self._changed.set()

    async def finish(self) -> None:
        """Handle what is in hand; runs that failed are left to the next member."""
        self._workers.stop_retrying()
        await self._drain()

    async def _drain(self) -> None:
        while self._workers.are_busy:
            self._changed.clear()
            await self._changed.wait()
        self._raise_failure()

    async def leave(self) -> None:
        """End the stay: cut short what runs, acknowledge what was handled, leave the list."""
        await self._workers.cancel()
        if self._news is not None:
            self._news.cancel()
            await asyncio.wait([self._news])
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._store.perform(self._intake.leave(self._hand.handled))
        except (RunStoreError, TimeoutError) as error:
            _log.warning("%s could not say that it leaves: %s", self._intake.who, error)
        if left := self._hand.unhandled:
            _log.warning("%s leaves %d events pending for the others", self._intake.who, left)

    async def _advance(self, *, wait: bool) -> bool:
        """Do what is to be done now; say whether there may be more right away."""
        self._raise_failure()
        await self._beat()
        if self._news is not None and self._news.done():
            self._heed_news(self._news)
        if self._news is None and self._has_room:
            was_at_end = self._at_end
            self._at_end = not await self._take(check_end=was_at_end)
            if not (was_at_end and self._at_end):
                return True
            if wait:
                self._news = asyncio.create_task(self._wait_for_news())
        elif self._hand.handled:
            await self._acknowledge()
            return True
        return False

    async def _rest(self) -> None:
        """Wait until a handler is done, the log has news, or a heartbeat is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, self._next_beat_s - monotonic())):
                await self._changed.wait()

    @property
    def _has_room(self) -> bool:
        """Whether to take more: a batch ahead of the workers, and past runs that wait."""
        if len(self._hand.held) >= self._bounds.max_in_hand_events:
            return False
        return self._hand.unhandled < self._bounds.batch_events or self._workers.has_room

    async def _take(self, *, check_end: bool) -> int:
        handled = len(self._hand.handled)
        events = await self._store.perform(
            self._intake.take(self._hand.handled, check_end=check_end)
        )
        self._hand.acknowledged(handled)
        self._hand.put(events)
        self._workers.begin()
        return len(events)

    async def _acknowledge(self) -> None:
        if handled := len(self._hand.handled):
            await self._store.perform(self._intake.acknowledge(self._hand.handled))
            self._hand.acknowledged(handled)

    async def _wait_for_news(self) -> bool:
        try:
            return await self._store.perform(self._intake.wait())
        finally:
            self._changed.set()

    def _heed_news(self, news: asyncio.Task[bool]) -> None:
        self._news = None
        if news.result():
            self._at_end = False

    async def _beat(self) -> None:
        """Report as alive, and take over what dead members and lost replies left, when due."""
        if monotonic() < self._next_beat_s:
            return
        claim_after_ms, limit = self._bounds.claim_after_ms, self._bounds.batch_events
        self._next_beat_s = monotonic() + claim_after_ms / 1000 / _BEATS_A_CLAIM
        try:
            alive = await self._store.perform(self._intake.beat(claim_after_ms))
        except ServerRefused as error:  # no memory for a heartbeat; reading needs none
            _log.warning("%s cannot report as alive: %s", self._intake.who, error)
            return
        events = await self._store.perform(
            self._intake.recover(claim_after_ms, alive, self._hand.held, limit)
        )
        self._hand.counts.recovered += len(events)
        self._hand.put(events)
        self._workers.begin()
        if len(events) == limit and self._has_room:
            self._next_beat_s = monotonic()

    def _raise_failure(self) -> None:
        if self._workers.failure is not None:
            raise self._workers.failure
