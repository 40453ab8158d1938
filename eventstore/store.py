"""The event store for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from eventstore.appends import Append, AppendResult
from eventstore.clock import to_ms
from eventstore.commands import AppendOutcome, Head
from eventstore.errors import RunStoreError
from eventstore.events import ANY, NewEvent, Position, RecordedEvent, Upcasters
from eventstore.log_reader import After, LogReader
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.settings import Settings
from eventstore.timers import DueTimer
from eventstore.transport.async_executor import AsyncExecutor
from eventstore.transport.opening import Opening
from eventstore.waiting import Awaited, Until, Watch

T = TypeVar("T")


class EventStore:
    """Every event of every run, appended to Redis Streams. Use it as ``async with``.

    Safe for any number of tasks of one event loop: appends that wait together travel together
    on one connection, and each gets its own result.
    """

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        """How this store is opened, to open it again elsewhere."""
        self._executor = AsyncExecutor(opening)
        self._watch = Watch(self.tails, self._follow)

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        namespace: str = "runs",
        partitions: int | None = 16,
        archive: Path | str | None = None,
        durability: str = "server",
        settings: Settings | None = None,
        upcasters: Upcasters | None = None,
        allow_eviction: bool = False,
        folder: Path | str | None = None,
    ) -> EventStore:
        """Describe a store; ``async with`` (or ``await store.start()``) opens it.

        - ``url``: ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://``; else the
          variable ``RUNSTORE_REDIS_URL``; else a server of its own, kept in ``folder``
          (``.runstore``).
        - ``namespace``: separates stores on one server; ``[a-z0-9_-]{1,64}``.
        - ``partitions``: fixed when the namespace is created; None takes it as it is.
        - ``archive``: the file in which readers find what left Redis; else the variable
          ``RUNSTORE_ARCHIVE``; else, without a URL, ``<namespace>.archive.db`` in ``folder``.
          It need not be there (yet), and is opened to read only.
        - ``durability``: ``"server"``, ``"fsync"`` or ``"replicas:N"``: what an append waits for.
        - ``settings``: bounds and time-outs; else from ``RUNSTORE_…`` variables.
        - ``upcasters``: lift older payloads on read.
        - ``allow_eviction``: take a server whose eviction policy may drop history.

        Raises ``InvalidArgument`` here; opening raises ``StoreUnavailable``, ``ServerRefused``
        and ``StoreMismatch``.
        """
        return cls(
            Opening.of(
                url,
                namespace=namespace,
                partitions=partitions,
                archive=archive,
                durability=durability,
                settings=settings,
                upcasters=upcasters,
                allow_eviction=allow_eviction,
                folder=folder,
            )
        )

    async def start(self) -> Self:
        """Open the store, starting the embedded server where no URL was given."""
        await self._executor.start()
        return self

    async def close(self) -> None:
        """Send what waits, close the connections, leave the embedded server."""
        await self._watch.close()
        await self._executor.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        where = self.shown_url or "no server yet"
        return f"<{type(self).__name__} {self.opening.namespace!r} at {where}>"

    @property
    def operations(self) -> Operations:
        """The plans of this store, to build further ones on; run them with ``perform``."""
        return self._executor.opened.operations

    @property
    def identity(self) -> str:
        """The id that the namespace got when it was created."""
        return self._executor.opened.facts.store_id

    @property
    def shown_url(self) -> str:
        """The server's URL without secrets."""
        return self._executor.shown

    async def append(
        self,
        run_id: str,
        events: Sequence[NewEvent] | NewEvent,
        *,
        expected: Any = ANY,
        idempotency_key: str | None = None,
        append_id: str | None = None,
    ) -> AppendResult:
        """Append events to a run: all or nothing, and never twice.

        - ``expected``: ``ANY``, ``NO_RUN``, ``RUN_EXISTS`` or the exact version.
        - ``idempotency_key``: for the run's whole life, the same key with the same content
          gives the first result again, from whichever process it comes.
        - ``append_id``: that of an ``OutcomeUnknown``, with the same events, to settle it.

        Raises ``InvalidEvent``, ``InvalidRunId``, ``InvalidArgument``,
        ``WrongExpectedVersion``, ``RunClosed`` and ``IdempotencyConflict`` (nothing written);
        ``ServerRefused`` and ``StoreUnavailable`` (nothing written); ``NotDurable`` (written);
        ``OutcomeUnknown`` when no answer came within ``append_timeout_ms`` plus at most one
        ``reply_timeout_ms``.
        """
        asked = Append(run_id, events, expected, idempotency_key, append_id)
        outcome = await self._executor.attempt(asked)
        if isinstance(outcome, RunStoreError):
            raise outcome
        return outcome

    async def append_many(
        self, appends: Iterable[Append | tuple[str, Sequence[NewEvent]]]
    ) -> list[AppendOutcome]:
        """Append to several runs, each atomic on its own.

        Gives, in the same order, each one's ``AppendResult`` or its error.
        """
        asked = (a if isinstance(a, Append) else Append(*a) for a in appends)
        return list(await asyncio.gather(*map(self._executor.attempt, asked)))

    async def head(self, run_id: str) -> Head:
        """Give a run's last version and whether it ended. Raises ``RunNotFound``."""
        return await self.perform(self.operations.head(run_id))

    async def load(self, run_id: str, after: int = 0) -> list[RecordedEvent]:
        """Give all events of a run after a version, in order.

        Raises ``RunNotFound``, ``HistoryGap`` and ``CorruptEvent``.
        """
        return await self.perform(self.operations.load(run_id, after))

    async def read_run(
        self, run_id: str, after: int = 0, limit: int | None = None, *, backwards: bool = False
    ) -> AsyncIterator[RecordedEvent]:
        """Iterate over a run's events after a version, page by page; as ``load`` otherwise."""
        reader = self.operations.reader(run_id, after, limit, backwards=backwards)
        while not reader.done:
            for event in await self.perform(reader.next_page()):
                yield event

    async def read_all(
        self,
        after: After = None,
        types: Collection[str] | None = None,
        workflow_id: str | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Iterate over everything recorded before the call, in the order of recording.

        ``after`` is a position, or positions by partition (``tails`` gives such). After a single
        position, events of other partitions from its very millisecond may come again.
        Raises ``HistoryGap``, ``LogRegressed`` and ``CorruptEvent``.
        """
        reader = LogReader(self.operations, after, types, workflow_id)
        while not reader.done:
            for event in await self.perform(reader.next_page()):
                yield event

    async def read_log(
        self, after: Mapping[int, Position], *, limit: int, block_ms: int | None = None
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events after positions, each partition in order; for followers.

        With ``block_ms`` it waits that long for the first one. Raises ``HistoryGap`` and
        ``LogRegressed``: nothing is ever skipped.
        """
        return await self.perform(self.operations.read_log(after, limit, block_ms))

    async def _follow(self, reached: Mapping[int, Position]) -> list[RecordedEvent]:
        settings = self.opening.settings
        return await self.read_log(reached, limit=settings.page_events, block_ms=settings.block_ms)

    async def tails(self) -> dict[int, Position]:
        """Give the position where each partition's log ends."""
        return await self.perform(self.operations.tails())

    async def report_reader(self, name: str, positions: Mapping[int, Position]) -> None:
        """Say how far a follower of the log has come: what it has not passed stays in the log.

        It counts for ``group_grace_ms`` of the trimmer; who is silent for longer catches up from
        the archive. Partitions that are not named count as not begun.
        """
        await self.perform(self.operations.report_reader(name, positions))

    async def wait(self, run_id: str, until: Until, timeout: float | timedelta) -> RecordedEvent:
        """Wait, without polling, for an event of a run, past ones included.

        ``until`` is a version, a type, several types, or a function of an event. The run need
        not exist yet. ``timeout`` is in seconds. Raises ``WaitTimeout``, or ``RunClosed`` when
        the run ended otherwise.
        """
        awaited = Awaited(run_id, until, timeout)
        async with self._watch.of(run_id) as changed:
            while True:
                changed.clear()
                self._watch.check()
                events = await self.perform(self.operations.run_after(run_id, awaited.version))
                found = awaited.first(events)
                if found is not None:
                    return found
                if not events and not await _is_set(changed, awaited.left_s):
                    raise awaited.too_late()

    async def due(
        self, now: datetime | None = None, limit: int = 100, lease_ms: int = 30_000
    ) -> list[DueTimer]:
        """Take due timers under a lease: nobody else gets them until it ends.

        ``now`` is the server's time unless given. The effect of a timer is an append, with the
        exact expected version, that clears it; what is not cleared is due again.
        """
        now_ms = None if now is None else to_ms(now)
        return await self.perform(self.operations.due(now_ms, limit, lease_ms))

    async def perform(self, plan: Plan[T]) -> T:
        """Run a plan: do each step that it yields and send it the result."""
        return await self._executor.perform(plan)


async def _is_set(flag: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(flag.wait(), timeout_s)
    except TimeoutError:
        return False
    return True
