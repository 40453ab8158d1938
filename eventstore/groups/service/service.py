"""A service: handlers declared with what they are for, and one call that serves until told."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypedDict, TypeVar, Unpack

from eventstore.clock import Clock
from eventstore.errors import InvalidArgument, RunStoreError
from eventstore.events import RecordedEvent, check_name
from eventstore.groups.backoff import Backoff
from eventstore.groups.bounds import DEFAULT_CONCURRENCY
from eventstore.groups.consumer_group import ConsumerGroup
from eventstore.groups.hand.hand import Counts
from eventstore.groups.handling.delivery import Delivery
from eventstore.groups.selection import Selection
from eventstore.groups.service.route import Route
from eventstore.groups.start import Start
from eventstore.store import EventStore

_EXIT_FAILED = 2
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class GroupOptions(TypedDict, total=False):
    """What a service passes on to its ``ConsumerGroup``, which explains each."""

    start: Start
    create: bool
    member: str | None
    max_deliveries: int
    backoff: Backoff | None
    concurrency: int
    batch_events: int
    max_in_hand_events: int
    max_unacknowledged_events: int
    max_lane_events: int
    lease_ms: int
    drain_ms: int
    clock: Clock


class Service:
    """A consumer group whose handlers say by decorators which events they are for.

        service = Service("teller", create=True)

        @service.on("order.paid", workflow_ids={"orders"})
        async def tell(event: RecordedEvent, payload: OrderPaid) -> None: ...

        service.main()

    ``name`` is the group's; ``options`` are those of ``ConsumerGroup``. A group that does not
    exist is ``UnknownGroup`` unless ``create=True``.

    Each event goes to exactly one handler: two that could take the same event are refused when
    the second is declared. Events that no handler is for count as handled; the group looks only
    at the types that are declared. So a handler added later sees what comes from then on.

    Raises ``InvalidArgument``.
    """

    def __init__(self, name: str, **options: Unpack[GroupOptions]) -> None:
        self.name = check_name("group name", name)
        if unknown := options.keys() - GroupOptions.__annotations__.keys():
            known = ", ".join(GroupOptions.__annotations__)
            raise InvalidArgument(f"no option {', '.join(sorted(unknown))}; there are {known}")
        self._options = options
        self._routes: list[Route] = []
        self._by_type: dict[str | None, list[Route]] = {}
        self._group: ConsumerGroup | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._is_running = False
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {len(self._routes)} handlers>"

    @property
    def counts(self) -> Counts:
        """What this service did since it was last started."""
        return self._group.counts if self._group else Counts()

    def on(
        self, *types: str, workflow_ids: str | Collection[str] | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare a handler for events of these types (none: of all) and workflows (None: all).

        The handler is ``async def``, or a plain function, which runs in a thread. What each of
        its parameters gets is told by the annotation, read here and now:

        - ``RecordedEvent``: the event; every handler takes it.
        - a pydantic model: the event's data. Data that do not fit park the event at once. The
          built-in types have their own models in ``eventstore.events.payloads``; a union of them
          or their base ``Payload`` serves several types.
        - ``Delivery``: attempt, member, partition and epoch.
        - ``EventStore``: the store that is served, to append to.

        It may raise ``Retry``, ``Park`` or ``Skip``; anything else is a failure, tried again.
        Returns the function as it was. Raises ``InvalidArgument``.
        """
        if types and callable(types[0]):
            raise InvalidArgument(f"write @service.on(…) with types, or @service.on(): {types!r}")
        selection = Selection.of(types or None, workflow_ids)

        def declare(handler: HandlerT) -> HandlerT:
            self._add(Route(selection, handler))
            return handler

        return declare

    def _add(self, route: Route) -> None:
        if self._is_running:
            raise InvalidArgument(f"{self!r} runs already; declare {route.name} before")
        for other in self._routes:
            if other.overlaps(route.selection):
                raise InvalidArgument(
                    f"{other.name} and {route.name} are for the same events of service "
                    f"{self.name!r}; each event has one handler: narrow types or workflow_ids, "
                    "or make a second service"
                )
        self._routes.append(route)
        for event_type in route.selection.types or [None]:
            self._by_type.setdefault(event_type, []).append(route)

    async def run(self, store: EventStore) -> None:
        """Serve until ``stop``, in the loop of the caller, who takes care of signals.

        Raises ``InvalidArgument`` for a service without handlers or one that runs already, and
        what ``ConsumerGroup`` and its ``run`` raise.
        """
        if not self._routes:
            raise InvalidArgument(f"{self!r}: nothing to serve; declare one with @service.on(…)")
        if self._is_running:
            raise InvalidArgument(f"{self!r} runs already; make another one")
        self._group = self._make_group(store)
        self._is_running = True
        self._threads = self._make_threads()
        try:
            if not self._is_stopping:
                await self._group.run()
        finally:
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
            self._is_running = self._is_stopping = False

    def stop(self) -> None:
        """Let ``run`` end: take no more events, finish those in hand, within ``drain_ms``.

        Before ``run`` it lets that end at once. A plain function cannot be cut short: the
        process ends only when it returned.
        """
        self._is_stopping = True
        if self._is_running and self._group is not None:
            self._group.stop()

    def main(self, store: EventStore | None = None) -> None:
        """Be a whole program: open the store, serve until SIGTERM or SIGINT, close it.

        ``store`` is one that is not open yet, as ``EventStore.open(…)`` gives it; by default the
        one of ``RUNSTORE_REDIS_URL``, or of this folder. A second signal ends it at once. Errors
        of the store are told on stderr, and the exit code is 2. Without a configuration of logging,
        that it joins and leaves, and what fails, is logged to stderr.
        """
        logging.basicConfig()
        ours = logging.getLogger(ConsumerGroup.__module__)
        if ours.level == logging.NOTSET and not ours.isEnabledFor(logging.INFO):
            ours.setLevel(logging.INFO)  # that it joins and leaves, and no chatter of others
        try:
            asyncio.run(self._serve(store or EventStore.open()))
        except RunStoreError as error:
            print(f"{self.name}: {error}", file=sys.stderr)  # noqa: T201 - it is the program here
            raise SystemExit(_EXIT_FAILED) from error

    async def _serve(self, store: EventStore) -> None:
        loop = asyncio.get_running_loop()
        with _calling(lambda: loop.call_soon_threadsafe(self.stop)):
            async with store:
                await self.run(store)

    def _make_threads(self) -> ThreadPoolExecutor | None:
        if all(route.is_async for route in self._routes):
            return None
        count = self._options.get("concurrency", DEFAULT_CONCURRENCY)
        return ThreadPoolExecutor(count, f"runstore-{self.name}")

    def _make_group(self, store: EventStore) -> ConsumerGroup:
        async def handle(event: RecordedEvent, delivery: Delivery) -> None:
            if route := self._route_of(event):
                await route.handle(event, delivery, store, self._threads)

        return ConsumerGroup(
            store,
            self.name,
            handle,
            types=_union([route.selection.types for route in self._routes]),
            workflow_ids=_union([route.selection.workflow_ids for route in self._routes]),
            **self._options,
        )

    def _route_of(self, event: RecordedEvent) -> Route | None:
        for key in (event.type, None):
            for route in self._by_type.get(key, ()):
                if route.selection.accepts(event):
                    return route
        return None


def _union(choices: list[frozenset[str] | None]) -> frozenset[str] | None:
    """Give everything that any choice holds; None is all."""
    named = [choice for choice in choices if choice is not None]
    return frozenset().union(*named) if len(named) == len(choices) else None


@contextmanager
def _calling(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT call ``stop``, and the second end the process at once."""
    was_called = False

    def call(number: int, _frame: FrameType | None) -> None:
        nonlocal was_called
        if was_called:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        was_called = True
        stop()

    before = {number: signal.signal(number, call) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
