"""What becomes of an event at the handler: done, tried again, or set aside with its run."""

from __future__ import annotations

import logging

from eventstore.clock import Clock, to_ms
from eventstore.events import RecordedEvent
from eventstore.groups import leases
from eventstore.groups.backoff import Backoff
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.lane import Lane
from eventstore.groups.handling.verdicts import Park, Retry, Skip
from eventstore.groups.hold import Membership
from eventstore.groups.member.asking import Asking
from eventstore.groups.member.setting_aside import SettingAside
from eventstore.groups.parking.failure import Failure

_log = logging.getLogger(__name__)
_SURE_DELIVERIES = 3
"""From so many deliveries on, an event was handled alone when its handler's process died."""


class Attempts:
    """Counts deliveries at the server, and decides what follows a failure."""

    def __init__(
        self,
        asking: Asking,
        who: Membership,
        hand: Hand,
        aside: SettingAside,
        max_deliveries: int,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self.asking = asking
        self._who = who
        self._hand = hand
        self.aside = aside
        self._max_deliveries = max_deliveries
        self._backoff = backoff
        self._clock = clock

    async def begin(self, lane: Lane, event: RecordedEvent) -> int:
        """Count a delivery, unless it is a first one; give its number, 0 if it must not happen."""
        if lane.redriven is not None:
            return await self._begin_again(lane, event, lane.redriven)
        holding, n = lane.holding, event.position.n
        deliveries, is_counted = holding.deliveries.get(n, (1, True))
        if not is_counted:
            begun = holding.begun(event.position, deliveries)
            is_sure = begun >= self._max_deliveries and deliveries >= _SURE_DELIVERIES
            if is_sure and holding.predecessor_died:
                await self.aside.park(lane, event, self._died(lane, deliveries))
                return 0
            command = leases.deliver(holding.hold, event.position, deliveries)
            counted = await self.asking.command(holding, command)
            if not counted:
                self._hand.drop(holding)
                return 0
            return counted
        return deliveries

    async def _begin_again(self, lane: Lane, event: RecordedEvent, begun: int) -> int:
        if begun >= self._max_deliveries:
            await self.aside.park_again(lane, event, self._died(lane, begun))
            return 0
        if not await self.aside.begin_again(lane, event, begun + 1):
            return 0
        lane.redriven = begun + 1
        return begun + 1

    def not_begun(self, lane: Lane, event: RecordedEvent, attempt: int) -> None:
        """Put an event back whose lease ran out after ``begin``; that counts for the next time."""
        if lane.is_redriven:
            lane.redriven = attempt - 1
        else:
            lane.holding.deliveries[event.position.n] = (attempt, True)
        # Alone, as it may have been meant to be; the rare other one loses nothing by it.
        lane.suspects += 1
        lane.holding.suspects.add(event.position.n)
        self._hand.put_back(lane, event)
        self._hand.make_ready(lane)

    async def failed(
        self, lane: Lane, event: RecordedEvent, error: BaseException, attempt: int
    ) -> float | None:
        """Decide what follows: give the seconds until the next attempt, None if there is none."""
        if lane.holding.is_lost:
            return None
        if isinstance(error, Skip):
            _log.info("%s skips %s: %s", self._who, place(event), error)
            self._hand.counts.skipped += 1
            return 0 if await self.through(lane, event) else None
        self._hand.counts.failed += 1
        now_ms = to_ms(self._clock())
        first_ms = lane.failed_first_ms = lane.failed_first_ms or now_ms
        begun = attempt
        if not lane.is_redriven:
            begun = lane.holding.begun(event.position, attempt)
        if isinstance(error, Park) or begun >= self._max_deliveries:
            failure = Failure.of(
                error, deliveries=attempt, first_ms=first_ms, last_ms=now_ms,
                settings=self.asking.store.operations.settings,
            )  # fmt: skip
            set_aside = self.aside.park_again if lane.is_redriven else self.aside.park
            await set_aside(lane, event, failure)
            return None
        if not lane.is_redriven:
            lane.holding.deliveries[event.position.n] = (attempt, False)
        self._hand.put_back(lane, event)
        return self._pause_s(event, error, begun)

    def _pause_s(self, event: RecordedEvent, error: BaseException, begun: int) -> float:
        pause_s = self._backoff.pause_s(begun)
        if isinstance(error, Retry) and error.after_s is not None:
            pause_s = error.after_s
        _log.warning(
            "%s: %s failed at delivery %d of %d (%s); again in %.1f s",
            self._who, place(event), begun, self._max_deliveries, type(error).__name__, pause_s,
            exc_info=error if begun == 1 and not isinstance(error, Retry) else None,
        )  # fmt: skip
        return pause_s

    async def through(self, lane: Lane, event: RecordedEvent) -> bool:
        """Note that the group is done with an event; say whether its lane can go on."""
        lane.failed_first_ms = None
        if lane.is_redriven:
            lane.redriven = 0
            return await self.aside.release(lane, event.version)
        lane.holding.finish(event.position)
        return True

    def _died(self, lane: Lane, deliveries: int) -> Failure:
        now_ms = to_ms(self._clock())
        message = (
            f"the process died while it handled the event, at delivery {deliveries}; or its loop "
            "was blocked for longer than a lease"
        )
        first_ms = lane.failed_first_ms or now_ms
        return Failure("ProcessDied", message, "", deliveries, first_ms, now_ms)


def place(event: RecordedEvent) -> str:
    """Name an event in messages."""
    return f"{event.type}, version {event.version} of run {event.run_id!r},"
