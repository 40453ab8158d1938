"""The event store for threads and plain scripts: the blocking twin of ``EventStore``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from eventstore.transport.blocking_executor import BlockingExecutor
from eventstore.transport.opening import Opening
from eventstore.waiting import Awaited, Until

T = TypeVar("T")


class SyncEventStore:
    """Every event of every run, appended to Redis Streams. Use it in a ``with`` statement.

    Safe for any number of threads: appends that wait together travel together. Each method is
    ``EventStore``'s of the same name, and raises the same errors.
    """

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        """How this store is opened, to open it again elsewhere."""
        self._executor = BlockingExecutor(opening)

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
    ) -> SyncEventStore:
        """Open a store; see ``EventStore.open``. Close it, or use it in a ``with`` statement."""
        opening = Opening.of(
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
        return cls(opening).start()

    def start(self) -> Self:
        """Open the store again after ``close``."""
        self._executor.start()
        return self

    def close(self) -> None:
        """Wait for the appends under way, close the connections, leave the embedded server."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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

    def append(
        self,
        run_id: str,
        events: Sequence[NewEvent] | NewEvent,
        *,
        expected: Any = ANY,
        idempotency_key: str | None = None,
        append_id: str | None = None,
    ) -> AppendResult:
        """Append events to a run: all or nothing, and never twice; see ``EventStore.append``."""
        asked = Append(run_id, events, expected, idempotency_key, append_id)
        outcome = self._executor.attempt(asked)
        if isinstance(outcome, RunStoreError):
            raise outcome
        return outcome

    def append_many(
        self, appends: Iterable[Append | tuple[str, Sequence[NewEvent]]]
    ) -> list[AppendOutcome]:
        """Append to several runs, each atomic on its own; give each one's result or error."""
        return self._executor.attempt_many(
            a if isinstance(a, Append) else Append(*a) for a in appends
        )

    def head(self, run_id: str) -> Head:
        """Give a run's last version and whether it ended. Raises ``RunNotFound``."""
        return self.perform(self.operations.head(run_id))

    def load(self, run_id: str, after: int = 0) -> list[RecordedEvent]:
        """Give all events of a run after a version, in order; see ``EventStore.load``."""
        return self.perform(self.operations.load(run_id, after))

    def read_run(
        self, run_id: str, after: int = 0, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[RecordedEvent]:
        """Iterate over a run's events after a version, page by page; as ``load`` otherwise."""
        reader = self.operations.reader(run_id, after, limit, backwards=backwards)
        while not reader.done:
            yield from self.perform(reader.next_page())

    def read_all(
        self,
        after: After = None,
        types: Collection[str] | None = None,
        workflow_id: str | None = None,
    ) -> Iterator[RecordedEvent]:
        """Iterate over everything recorded before the call; see ``EventStore.read_all``."""
        reader = LogReader(self.operations, after, types, workflow_id)
        while not reader.done:
            yield from self.perform(reader.next_page())

    def read_log(
        self, after: Mapping[int, Position], *, limit: int, block_ms: int | None = None
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events after positions; see ``EventStore.read_log``."""
        return self.perform(self.operations.read_log(after, limit, block_ms))

    def tails(self) -> dict[int, Position]:
        """Give the position where each partition's log ends."""
        return self.perform(self.operations.tails())

    def report_reader(self, name: str, positions: Mapping[int, Position]) -> None:
        """Say how far a follower of the log has come; see ``EventStore.report_reader``."""
        self.perform(self.operations.report_reader(name, positions))

    def wait(self, run_id: str, until: Until, timeout: float | timedelta) -> RecordedEvent:
        """Wait, without polling, for an event of a run; see ``EventStore.wait``.

        Each thread that waits holds one of ``max_connections``.
        """
        return self.perform(self.operations.wait(Awaited(run_id, until, timeout)))

    def due(
        self, now: datetime | None = None, limit: int = 100, lease_ms: int = 30_000
    ) -> list[DueTimer]:
        """Take due timers under a lease; see ``EventStore.due``."""
        now_ms = None if now is None else to_ms(now)
        return self.perform(self.operations.due(now_ms, limit, lease_ms))

    def perform(self, plan: Plan[T]) -> T:
        """Run a plan: do each step that it yields and send it the result."""
        return self._executor.perform(plan)
