"""Waiting for what happens to a run, without asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from eventstore.clock import Monotonic, monotonic
from eventstore.errors import InvalidArgument, RunClosed, RunStoreError, WaitTimeout
from eventstore.events import DELETED, ENDS, Position, RecordedEvent, check_run_id

Until = int | str | Collection[str] | Callable[[RecordedEvent], bool]


class Awaited:
    """What is waited for, how far the run was read, and how much time is left. Does no I/O."""

    def __init__(
        self, run_id: str, until: Until, timeout: float | timedelta, now: Monotonic = monotonic
    ) -> None:
        self.run_id = check_run_id(run_id)
        self.version = 0
        self._matches, self._may_follow_end = _condition(until)
        self._timeout_s = (
            timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        )
        self._now = now
        self._deadline_s = now() + self._timeout_s

    def first(self, events: Sequence[RecordedEvent]) -> RecordedEvent | None:
        """Give the first of the run's next events that is waited for.

        Raises ``RunClosed`` when the run ended, so that it can't come any more.
        """
        for event in events:
            self.version = event.version
            if self._matches(event):
                return event
            if event.type in ENDS and not self._may_follow_end:
                raise RunClosed(self.run_id, event.version)
        return None

    @property
    def left_s(self) -> float:
        """The seconds left, never below 0."""
        return max(0.0, self._deadline_s - self._now())

    def too_late(self) -> WaitTimeout:
        """Make the error for a time that is over."""
        return WaitTimeout(f"what was waited for in run {self.run_id!r}", self._timeout_s)


def _condition(until: Until) -> tuple[Callable[[RecordedEvent], bool], bool]:
    """Give the condition, and whether it could still hold after the run's end."""
    if isinstance(until, bool):
        raise InvalidArgument("until must be a version, event types or a function")
    if isinstance(until, int):
        return (lambda event: event.version >= until), True
    if callable(until):
        return until, True
    types = [until] if isinstance(until, str) else until
    named = isinstance(types, Collection) and all(isinstance(name, str) for name in types)
    if not named or not types:
        raise InvalidArgument("until must be a version, event types or a function")
    return (lambda event: event.type in types), DELETED in types


class Watch:
    """Tells any number of tasks that their run has new events, with one reader for all.

    ``tails`` and ``follow`` are the store's: where the logs end now, and what came after
    positions, waiting for it.
    """

    def __init__(
        self,
        tails: Callable[[], Awaitable[dict[int, Position]]],
        follow: Callable[[dict[int, Position]], Awaitable[list[RecordedEvent]]],
    ) -> None:
        self._tails = tails
        self._follow = follow
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._failure: RunStoreError | None = None

    @asynccontextmanager
    async def of(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """Give a flag that is set whenever the run gets events, from now on."""
        changed = asyncio.Event()
        self._waiters.setdefault(run_id, set()).add(changed)
        if self._reader is None:
            self._begun.clear()
            self._failure = None
            self._reader = asyncio.create_task(self._read(), name="runstore-watch")
        try:
            await self._begun.wait()
            yield changed
        finally:
            self._waiters[run_id].discard(changed)
            if not self._waiters[run_id]:
                del self._waiters[run_id]
            if not self._waiters:
                await self.close()

    def check(self) -> None:
        """Raise the error that the reader ran into, if any."""
        if self._failure is not None:
            raise self._failure

    async def _read(self) -> None:
        try:
            reached = await self._tails()
            self._begun.set()
            while True:
                for event in await self._follow(reached):
                    reached[event.position.partition] = event.position
                    for changed in self._waiters.get(event.run_id, ()):
                        changed.set()
        except RunStoreError as error:
            self._failure = error
            self._begun.set()
            for changed in [flag for flags in self._waiters.values() for flag in flags]:
                changed.set()

    async def close(self) -> None:
        """Stop reading."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
