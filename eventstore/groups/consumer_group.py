"""A consumer group: a service that handles every event at least once."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

from eventstore.clock import Clock, system_clock
from eventstore.errors import InvalidArgument, RunStoreError, StoreUnavailable
from eventstore.events import check_name
from eventstore.groups import bounds
from eventstore.groups.backoff import Backoff
from eventstore.groups.bounds import Bounds
from eventstore.groups.hand.hand import Counts
from eventstore.groups.handling.handlers import check_handler
from eventstore.groups.joining import join
from eventstore.groups.member.member import Member
from eventstore.groups.member.stay import begin_stay
from eventstore.groups.member.workers import Handler
from eventstore.groups.parking.parked import Parked
from eventstore.groups.parking.parked_run import ParkedRun
from eventstore.groups.selection import Selection
from eventstore.groups.start import Start, check_start
from eventstore.groups.status.facts import PartitionLag
from eventstore.groups.status.groups import Groups
from eventstore.store import EventStore

_log = logging.getLogger(__name__)


class ConsumerGroup:
    """Hands every event of the log to a handler, at least once, through one member of a group.

    Start as many members as you like, in as many processes: they hold the group's partitions by
    lease and share them fairly. A run's events are handled one after another in the order of
    their versions, whoever dies or joins meanwhile; different runs go side by side. An event is
    acknowledged after its handler returned. One that fails is tried again after a pause, while
    only its run waits; after ``max_deliveries`` the run is set aside for this group (see
    ``Parked``), and every other run goes on. ``event.id``, or run id and version, tell a repeat.

    - ``handler``: ``async def`` of one ``RecordedEvent``, or a plain function, which then runs
      in a thread. One with a second parameter is given the ``Delivery``. What it returns is
      ignored; it may raise ``Retry``, ``Park`` or ``Skip``; all else that it raises is a failure.
    - ``start``: where a group that is made here begins: ``"beginning"``, ``"end"``, after a
      position, or after positions by partition. A group that exists goes on where it was.
    - ``max_deliveries``: how often the handler begins an event that fails. The server counts, so
      one that kills the process is found out too, by trying alone what was in hand then: after at
      least three crashes, and one that may have come before the handler began is not counted.
    - ``backoff``: how long a run waits after a failure.
    - ``create``: make a group that is not there. Else it is ``UnknownGroup``: a mistyped name
      would start over from the beginning.
    - ``types``, ``workflow_ids``: what the handler wants to see; the rest counts as handled, so
      give all members of a group the same.
    - ``member``: this member's name, unique among those alive. A name that survives a restart
      (a pod's, a host's) lets the member go on at once with what it had; else one is made up,
      and the partitions of one that was killed are free after ``lease_ms``.
    - ``concurrency``: runs handled at the same time.
    - ``batch_events``: about how many events one exchange with the server takes; while one batch is
      handled, the next is taken.
    - ``max_in_hand_events``: how many events this member keeps in memory, those of runs that
      wait after a failure included; when it is reached, no more are taken.
    - ``max_unacknowledged_events``: how many events may be taken and not yet through, those left
      out of memory included.
    - ``max_lane_events``: how many events of one run are kept in memory; what comes behind them
      is read again when its turn comes.
    - ``lease_ms``: after so long without a sign of life, a member's partitions go to others.
    - ``drain_ms``: how long ``stop`` lets handlers finish; in its second half none is begun.
    - ``clock``: tells when a handler failed.

    Raises ``InvalidArgument``.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        handler: Handler,
        *,
        start: Start = "beginning",
        max_deliveries: int = bounds.DEFAULT_MAX_DELIVERIES,
        backoff: Backoff | None = None,
        create: bool = False,
        types: str | Collection[str] | None = None,
        workflow_ids: str | Collection[str] | None = None,
        member: str | None = None,
        concurrency: int = bounds.DEFAULT_CONCURRENCY,
        batch_events: int = bounds.DEFAULT_BATCH_EVENTS,
        max_in_hand_events: int = bounds.DEFAULT_MAX_IN_HAND_EVENTS,
        max_unacknowledged_events: int = bounds.DEFAULT_MAX_UNACKNOWLEDGED_EVENTS,
        max_lane_events: int = bounds.DEFAULT_MAX_LANE_EVENTS,
        lease_ms: int = bounds.DEFAULT_LEASE_MS,
        drain_ms: int = bounds.DEFAULT_DRAIN_MS,
        clock: Clock = system_clock,
    ) -> None:
        if not isinstance(store, EventStore):
            raise InvalidArgument(f"a consumer group takes an EventStore, not {store!r}")
        check_handler(handler)
        if backoff is not None and not isinstance(backoff, Backoff):
            raise InvalidArgument(f"backoff must be a Backoff, not {backoff!r}")
        self.name = check_name("group name", name)
        self.member = check_name("member name", _made_up_name() if member is None else member)
        self._store = store
        self._handler = handler
        self._start = check_start(start)
        self._create = create
        self._selection = Selection.of(types, workflow_ids)
        self._bounds = Bounds(
            max_deliveries=max_deliveries,
            concurrency=concurrency,
            batch_events=batch_events,
            max_in_hand_events=max_in_hand_events,
            max_unacknowledged_events=max_unacknowledged_events,
            max_lane_events=max_lane_events,
            lease_ms=lease_ms,
            drain_ms=drain_ms,
        )
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._counts = Counts()
        self._stay: Member | None = None
        self._bound: asyncio.Timeout | None = None
        self._busy = False
        self._stopping = False
        self._stopped: list[asyncio.Future[None]] = []
        self._leaving: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, member {self.member!r}>"

    @property
    def counts(self) -> Counts:
        """What this member did so far."""
        return replace(self._counts)

    async def run(self) -> None:
        """Follow the log until ``stop``, which may have come before; ask an absent store again.

        Raises ``UnknownGroup`` for a group that is not there, or no longer; ``LogRegressed``
        and ``HistoryGap`` when the log lost events; ``CorruptEvent``; ``ServerRefused``.
        """
        async with self._turn(stopping=self._stopping):
            if not self._stopping:
                await self._follow(to_end=False)

    async def run_to_end(self) -> int:
        """Handle everything up to the log's end, retries included; give how many events.

        What other members hold is left to them. Raises as ``run``, and ``StoreUnavailable``.
        """
        before = self._counts.done
        async with self._turn():
            await self._follow(to_end=True)
        return self._counts.done - before

    async def run_once(self) -> int:
        """Handle one batch; give how many events were tried or passed over, 0 if there are none.

        Runs that failed wait: they are tried again in a call after their pause. The member stays
        in the group until ``stop``. Raises as ``run_to_end``.
        """
        before = self._counts.worked
        async with self._turn(stay=True):
            await (await self._joined()).once()
        return self._counts.worked - before

    async def lag(self) -> tuple[PartitionLag, ...]:
        """Tell how far the group is behind in each partition, who holds it, what is parked.

        Works whether members run or not. Raises ``UnknownGroup``.
        """
        return await Groups(self._store).lag(self.name)

    async def parked(self, limit: int = 1_000) -> list[ParkedRun]:
        """Give the runs that the group has set aside, the latest first; ``Parked`` pages them.

        Raises ``UnknownGroup``.
        """
        return (await Parked(self._store, self.name).list(limit=limit)).items

    async def redrive(self, run_id: str) -> bool:
        """Ask for a run that is set aside to be handled after all, in order.

        False: it is not set aside, or asked for already. Raises ``UnknownGroup``.
        """
        return bool(await Parked(self._store, self.name).redrive(run_id))

    async def discard(self, run_id: str) -> bool:
        """Forget what is set aside of a run: this group never handles it.

        False: nothing is. Raises ``UnknownGroup``.
        """
        return bool(await Parked(self._store, self.name).discard(run_id))

    def stop(self) -> asyncio.Future[None]:
        """Take no more events; await the result to wait until what is in hand is handled.

        Before ``run`` it lets that end at once. After half of ``drain_ms`` no handler is begun,
        after all of it those that still run are cancelled; what is left stays pending for other
        members. Fit to be a signal handler; from a handler, call it without awaiting.
        """
        if not self._busy:
            self._stopping = self._stay is None
            self._leaving = asyncio.ensure_future(self._leave())
            return self._leaving
        if not self._stopping:
            self._stopping = True
            self._start_drain()
        stopped = asyncio.get_running_loop().create_future()
        self._stopped.append(stopped)
        return stopped

    def _start_drain(self) -> None:
        if self._stay is not None:
            self._stay.wake()
        if self._bound is not None:
            self._bound.reschedule(asyncio.get_running_loop().time() + self._bounds.drain_ms / 1000)

    @asynccontextmanager
    async def _turn(self, *, stay: bool = False, stopping: bool = False) -> AsyncIterator[None]:
        """Hold this object for one call, which ``stop`` bounds; then leave the group."""
        if self._busy:
            raise InvalidArgument(f"{self!r} is at work already; make another one")
        self._busy, self._stopping = True, stopping
        try:
            async with asyncio.timeout(None) as bound:
                self._bound = bound
                yield
        except TimeoutError:
            if not bound.expired():
                raise
            _log.warning(
                "%r: handlers were not done within %g s", self, self._bounds.drain_ms / 1000
            )
        finally:
            self._bound = None
            if self._stopping or not stay:
                await self._leave()
            self._busy = self._stopping = False
            self._tell_stopped()

    def _tell_stopped(self) -> None:
        for stopped in self._stopped:
            if not stopped.done():
                stopped.set_result(None)
        self._stopped.clear()

    async def _follow(self, *, to_end: bool) -> None:
        stay = await self._joined(patient=not to_end)
        try:
            await stay.follow(lambda: self._stopping, to_end=to_end)
        except RunStoreError:
            self._start_drain()
            await stay.finish()
            raise
        await stay.finish()

    async def _leave(self) -> None:
        stay, self._stay = self._stay, None
        if stay is not None:
            await stay.leave()
            _log.info("%r left: %s", self, self._counts)

    async def _joined(self, *, patient: bool = False) -> Member:
        while self._stay is None:
            operations = self._store.operations
            try:
                await self._store.perform(
                    join(operations, self.name, self._start, create=self._create)
                )
            except StoreUnavailable as error:
                if not patient:
                    raise
                _log.warning("%r: %s; trying again", self, error)
                continue
            self._stay = begin_stay(
                self._store,
                self.name,
                self.member,
                self._handler,
                self._selection,
                self._bounds,
                self._backoff,
                self._counts,
                self._clock,
            )
            _log.info("%r joined, at %r", self, self._store)
        return self._stay


def _made_up_name() -> str:
    """Make a member name that tells where it runs and is never used twice."""
    return f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"
