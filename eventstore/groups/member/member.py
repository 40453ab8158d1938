"""One stay of one member in a group: the loop that holds, takes, hands out and acknowledges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventstore.clock import monotonic
from eventstore.errors import RunStoreError, ServerRefused, StoreUnavailable
from eventstore.groups import leases
from eventstore.groups.bounds import Bounds
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Phase
from eventstore.groups.hand.intake import Intake
from eventstore.groups.hold import Membership
from eventstore.groups.member.asking import will_pass
from eventstore.groups.member.exchanges import Exchanges
from eventstore.groups.member.setting_aside import SettingAside
from eventstore.groups.member.tenure import Tenure
from eventstore.groups.member.workers import Workers
from eventstore.plan import single

if TYPE_CHECKING:
    from eventstore.store import EventStore

_log = logging.getLogger(__name__)
_BEATS_A_LEASE = 3
_HUNGRY_BEATS_A_LEASE = 12
_LONGEST_BETWEEN_BEATS_S = 1.0
"""So long a partition may lie idle that a member handed on, however long leases are."""
_LEAVE_TIMEOUT_S = 2.0
_REDRIVES_A_BEAT = 100


class Member:
    """Holds partitions, takes their events, lets workers handle them, acknowledges.

    ``changed`` wakes its loop.
    """

    def __init__(
        self,
        store: EventStore,
        who: Membership,
        bounds: Bounds,
        hand: Hand,
        intake: Intake,
        exchanges: Exchanges,
        tenure: Tenure,
        aside: SettingAside,
        workers: Workers,
        changed: asyncio.Event,
    ) -> None:
        self._store = store
        self._who = who
        self._bounds = bounds
        self._hand = hand
        self._intake = intake
        self._exchanges = exchanges
        self._tenure = tenure
        self._aside = aside
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
                _log.warning("%s: %s; trying again", self._who, error)
                continue
            if to_end and self._is_done and not await self._look_for_redrives():
                return
            await self._rest()

    @property
    def _is_done(self) -> bool:
        holdings = self._hand.holdings.values()
        # Who has read the archive to its end has yet to go live, and read on in the log.
        is_busy = any(h.lanes or h.redriven or h.phase is Phase.ARCHIVE for h in holdings)
        return self._tenure.is_settled and not is_busy and not self._hand.outstanding

    async def once(self) -> None:
        """Take one batch and handle and acknowledge it, except for runs that failed."""
        await self._beat()
        while self._has_room and not self._hand.outstanding:
            if not await self._take(check_end=True):
                break
        await self._drain()
        await self._exchanges.acknowledge()

    def wake(self) -> None:
        """Let ``follow`` look again whether it is over."""
        self._changed.set()

    async def finish(self) -> None:
        """Handle what is in hand; runs that failed are left to the next member.

        When half of the time is over nothing more is begun, so that what runs then can end.
        """
        self._tenure.is_ending = True
        self._workers.stop_retrying()
        half_s = self._bounds.drain_ms / 2_000
        half_time = asyncio.get_running_loop().call_later(half_s, self._hand.leave_all)
        try:
            await self._drain()
        finally:
            half_time.cancel()

    async def _drain(self) -> None:
        self._workers.begin()
        while self._workers.are_busy:
            self._changed.clear()
            await self._beat()
            await self._aside.hold_back_arrived()
            self._workers.begin()
            await self._rest()
        self._raise_failure()

    async def leave(self) -> None:
        """End the stay: cut short what runs, acknowledge what is through, hand on the rest."""
        self._hand.leave_all()
        await self._workers.cancel()
        if self._news is not None:
            self._news.cancel()
            await asyncio.wait([self._news])
        left = self._hand.outstanding
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._exchanges.acknowledge()
                await self._store.perform(self._tenure.release(everything=True))
                await self._store.perform(single(leases.leave(self._who)))
        except (RunStoreError, TimeoutError) as error:
            _log.warning("%s could not say that it leaves: %s", self._who, error)
        if left:
            _log.warning("%s leaves %d events pending for the others", self._who, left)

    async def _advance(self, *, wait: bool) -> bool:
        """Do what is to be done now; say whether there may be more right away."""
        self._raise_failure()
        self._workers.begin()
        await self._beat()
        await self._store.perform(self._tenure.release())
        if self._news is not None and self._news.done():
            self._heed_news(self._news)
        if self._news is None and self._has_room and self._hand.holdings:
            was_at_end = self._at_end
            self._at_end = not await self._take(check_end=was_at_end)
            if not (was_at_end and self._at_end):
                return True
            if wait and self._intake.can_wait:
                self._news = asyncio.create_task(self._wait_for_news())
        elif await self._exchanges.acknowledge():
            return True
        return False

    async def _rest(self) -> None:
        """Wait until a handler is done, the log has news, or a heartbeat is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, self._next_beat_s - monotonic())):
                await self._changed.wait()

    @property
    def _has_room(self) -> bool:
        """Whether to take more: one batch is handled, the next is on its way; past runs that wait.

        The second one is what keeps handlers and server at work at the same time.
        """
        hand, bounds = self._hand, self._bounds
        if hand.in_memory >= bounds.max_in_hand_events:
            return False
        outstanding = hand.outstanding
        if outstanding >= bounds.max_unacknowledged_events:
            return False
        return outstanding < 2 * bounds.batch_events or self._workers.has_room

    async def _take(self, *, check_end: bool) -> int:
        count = await self._exchanges.take(check_end=check_end)
        await self._aside.hold_back_arrived()
        self._workers.begin()
        return count

    async def _wait_for_news(self) -> bool:
        try:
            return await self._store.perform(self._intake.wait())
        finally:
            self._changed.set()

    def _heed_news(self, news: asyncio.Task[bool]) -> None:
        self._news = None
        if news.cancelled() or news.result():
            self._at_end = False

    async def _beat(self) -> None:
        """Report as alive, prolong leases, share with the others, look for what is redriven."""
        if monotonic() < self._next_beat_s and not self._hand.is_beat_due:
            return
        self._hand.is_beat_due = False
        try:
            taken = await self._store.perform(self._tenure.beat())
            await self._look_for_redrives()
        except ServerRefused as error:
            if not will_pass(error):
                raise
            _log.warning("%s cannot report as alive: %s", self._who, error)
            taken = 0
        beats = _HUNGRY_BEATS_A_LEASE if self._tenure.is_hungry else _BEATS_A_LEASE
        pause_s = min(self._bounds.lease_ms / 1000 / beats, _LONGEST_BETWEEN_BEATS_S)
        self._next_beat_s = monotonic() + pause_s
        if taken:
            self._at_end = False
            if self._news is not None:
                self._news.cancel()
        self._workers.begin()

    async def _look_for_redrives(self) -> int:
        hand = self._hand
        room = self._bounds.max_in_hand_events - hand.in_memory - hand.redriven
        if room <= 0 or not hand.holdings:
            return 0
        limit = min(_REDRIVES_A_BEAT, -(-room // len(hand.holdings)))
        begun = await self._aside.look_for_redrives(limit)
        self._workers.begin()
        return begun

    def _raise_failure(self) -> None:
        if self._workers.failure is not None:
            raise self._workers.failure
