"""Runs that are set aside: how their events get there, and how they come back when asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

from eventstore.errors import CorruptEvent, HistoryGap, RunNotFound
from eventstore.events import RecordedEvent
from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.holding import Holding
from eventstore.groups.hand.lane import Lane
from eventstore.groups.member.asking import Asking
from eventstore.groups.parking import owner
from eventstore.groups.parking.failure import Failure
from eventstore.groups.parking.owner import Redrive
from eventstore.plan import together

_log = logging.getLogger(__name__)
_PAGE_EVENTS = 200
_RUNS_AT_ONCE = 200

Arrived = tuple[Holding, str, Sequence[RecordedEvent]]
"""Events of a parked run, by partition and run."""


class SettingAside:
    """Parks runs of one member's partitions, holds their later events back, handles them again.

    Where the server says that the lease is lost, the partition is dropped.
    """

    def __init__(self, asking: Asking, hand: Hand) -> None:
        self._asking = asking
        self._store = asking.store
        self._hand = hand

    async def park(self, lane: Lane, event: RecordedEvent, failure: Failure) -> None:
        """Set an event aside, and with it everything that waits behind it in its lane."""
        holding, hand = lane.holding, self._hand
        # What went well before it is acknowledged in the same step: a successor must not find it.
        command = owner.park(holding.hold, event, failure, tuple(holding.finished))
        if await self._asking.command(holding, command) is None:
            hand.drop(holding)
            return
        _log.error("%s: run %r is set aside: %s", holding.hold.who, event.run_id, failure.message)
        hand.counts.parked += 1
        holding.parked.add(event.run_id)
        holding.finish(event.position, is_acknowledged=True)
        # What comes meanwhile stands behind what waits: it is not looked at before that is done.
        holding.being_parked.add(event.run_id)
        waiting, left_out = hand.end(lane), lane.left_out
        await self._hold_back(holding, event.run_id, waiting)
        while left_out and not holding.is_lost:
            page = await self._read(holding, event.run_id, left_out)
            left_out = range(left_out.start + _PAGE_EVENTS, left_out.stop)
            await self._hold_back(holding, event.run_id, page)
        holding.being_parked.discard(event.run_id)

    async def _hold_back(
        self, holding: Holding, run_id: str, events: Sequence[RecordedEvent]
    ) -> None:
        """Set later events of a parked run aside."""
        wanted = [event for event in events if self._hand.selection.accepts(event)]
        if wanted:
            await self._hold_back_all([(holding, run_id, wanted)])

    async def hold_back_arrived(self) -> None:
        """Set aside what came of runs that are parked: many such runs must not hold others up."""
        while arrived := list(islice(self._arrived(), _RUNS_AT_ONCE)):
            for _, run_id, events in arrived:
                del self._hand.to_hold_back[run_id]
                self._hand.in_memory -= len(events)
            await self._hold_back_all(arrived)

    def _arrived(self) -> Iterator[Arrived]:
        for run_id, (holding, events) in self._hand.to_hold_back.items():
            if run_id not in holding.being_parked:
                yield holding, run_id, events

    async def _hold_back_all(self, arrived: Sequence[Arrived]) -> None:
        commands = [
            owner.hold_back(holding.hold, run_id, [(e.version, e.position) for e in events])
            for holding, run_id, events in arrived
        ]
        holdings = [holding for holding, _, _ in arrived]
        found = await self._asking.until_done(
            holdings, lambda: self._store.perform(together(commands))
        )
        for one, aside in zip(arrived, found or (), strict=bool(found)):
            self._note_aside(*one, aside)

    def _note_aside(
        self,
        holding: Holding,
        run_id: str,
        events: Sequence[RecordedEvent],
        aside: owner.HeldBack | None,
    ) -> None:
        """Note what is set aside now; what is no longer to be, is handled as usual."""
        if aside is None:
            self._hand.drop(holding)
            return
        if not aside.is_parked:
            holding.parked.discard(run_id)
        for event in events:
            if event.version in aside:
                holding.finish(event.position, is_acknowledged=True)
                self._hand.counts.held_back += 1
            else:
                self._hand.add(holding, event)

    async def look_for_redrives(self, limit: int) -> int:
        """Let the runs be handled that somebody asked for; give how many were begun.

        It begins up to ``limit`` of each partition, besides those that are under way.
        """
        holdings = list(self._hand.holdings.values())
        if not holdings:
            return 0
        commands = [owner.redrives(h.hold, limit + len(h.redriven)) for h in holdings]
        found = await self._store.perform(together(commands))
        return sum(
            self._begin(holding, redrive)
            for holding, redrives in zip(holdings, found, strict=True)
            for redrive in redrives
        )

    def _begin(self, holding: Holding, redrive: Redrive) -> bool:
        run_id = redrive.run_id
        busy = (holding.redriven, holding.lanes, holding.being_parked, holding.unreadable)
        if holding.is_leaving or any(run_id in runs for runs in busy):
            return False
        holding.parked.add(run_id)
        lane = Lane(holding, run_id, left_out=range(redrive.first, redrive.last + 1))
        lane.redriven = redrive.begun
        lane.suspects = 1 if redrive.begun else 0
        holding.redriven[run_id] = lane
        self._hand.make_ready(lane)
        return True

    async def begin_again(self, lane: Lane, event: RecordedEvent, attempt: int) -> bool:
        """Note that an event that was set aside goes to the handler; False if it must not."""
        command = owner.begin_redrive(lane.holding.hold, lane.run_id, event.version, attempt)
        begun = await self._asking.command(lane.holding, command)
        return self._heed(lane, begun)

    async def park_again(self, lane: Lane, event: RecordedEvent, failure: Failure) -> None:
        """Set a run aside once more."""
        command = owner.park_again(lane.holding.hold, event, failure)
        if self._heed(lane, await self._asking.command(lane.holding, command)):
            _log.error("%s: run %r is set aside again: %s",
                       lane.holding.hold.who, lane.run_id, failure.message)  # fmt: skip
            self._hand.counts.parked += 1
            self._hand.end(lane)

    async def release(self, lane: Lane, version: int) -> bool:
        """Note that a run that was set aside is through up to a version; False if that is all."""
        command = owner.release(lane.holding.hold, lane.run_id, version)
        last = await self._asking.command(lane.holding, command)
        if last is None:
            self._hand.drop(lane.holding)
            return False
        if not last:
            lane.holding.parked.discard(lane.run_id)
            self._hand.end(lane)
            return False
        if not lane.left_out or last >= lane.left_out.stop:
            start = lane.left_out.start if lane.left_out else self._next_version(lane, version)
            lane.left_out = range(start, last + 1)
        return True

    @staticmethod
    def _next_version(lane: Lane, version: int) -> int:
        return lane.events[-1].version + 1 if lane.events else version + 1

    def _heed(self, lane: Lane, accepted: bool | None) -> bool:  # noqa: FBT001 - a reply
        if accepted is None:
            self._hand.drop(lane.holding)
        elif not accepted:  # discarded meanwhile, or parked again
            self._hand.end(lane)
        return bool(accepted)

    async def refill(self, lane: Lane) -> bool:
        """Read events of a lane that were left out of memory; False if nothing is left in it."""
        while lane.left_out and not lane.events:
            versions = lane.left_out
            try:
                page = await self._read(lane.holding, lane.run_id, versions)
            except (HistoryGap, CorruptEvent) as error:
                if not lane.is_redriven:
                    raise
                _log.error("%s: run %r cannot be handled after all: %s",
                           lane.holding.hold.who, lane.run_id, error)  # fmt: skip
                lane.holding.unreadable.add(lane.run_id)
                self._hand.end(lane)
                return False
            # What came meanwhile stands behind these.
            start = min(versions.start + _PAGE_EVENTS, versions.stop)
            lane.left_out = range(start, lane.left_out.stop)
            if lane.holding.is_lost:
                return False
            wanted = [event for event in page if self._hand.selection.accepts(event)]
            lane.events.extend(wanted)
            self._hand.in_memory += len(wanted)
            is_over = lane.is_redriven and not wanted
            if is_over and not await self.release(lane, start - 1):
                return False
        if lane.events:
            return True
        self._hand.end(lane)
        return False

    async def _read(self, holding: Holding, run_id: str, versions: range) -> list[RecordedEvent]:
        """Read the first events of a range of versions."""
        count = min(len(versions), _PAGE_EVENTS)

        async def read() -> list[RecordedEvent]:
            events = self._store.read_run(run_id, after=versions.start - 1, limit=count)
            return [event async for event in events]

        try:
            return await self._asking.until_done([holding], read) or []
        except RunNotFound:
            return []  # deleted for good: there is nothing to be handled
