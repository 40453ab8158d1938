"""A consumer group: a service that handles every event at least once."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import replace

from eventstore.errors import InvalidArgument
from eventstore.events import check_name
from eventstore.groups.backoff import Backoff
from eventstore.groups.commands import Membership
from eventstore.groups.hand import Counts, Hand
from eventstore.groups.intake import Intake
from eventstore.groups.joining import join
from eventstore.groups.member import Bounds, Member
from eventstore.groups.selection import Selection
from eventstore.groups.start import Start, check_start
from eventstore.groups.workers import Handler, Workers
from eventstore.plans import check_count
from eventstore.store import EventStore

DEFAULT_CONCURRENCY = 16
DEFAULT_BATCH_EVENTS = 1_600
DEFAULT_MAX_IN_HAND_EVENTS = 10_000
DEFAULT_CLAIM_AFTER_MS = 30_000
DEFAULT_DRAIN_MS = 10_000


class ConsumerGroup:
    """Hands every event of the log to a handler, at least once, through one member of a group.

    Start as many members as you like, in as many processes; they share the group's events. An
    event is acknowledged after its handler returned. One that fails is retried with back-off
    while only its run waits. What a dead member left is taken over by the others. ``event.id``,
    or run id and version, tell a repeat.

    Within a member, the events of one run are handled one after another in the order of their
    versions, and different runs side by side. Between members the log is shared event by event.

    - ``handler``: ``async def`` of one ``RecordedEvent``, or a plain function, which then runs
      in a thread. What it returns is ignored; what it raises is a failure.
    - ``start``: where a group that is made here begins: ``"beginning"``, ``"end"``, after a
      position, or after positions by partition. A group that exists goes on where it was.
    - ``create``: make a group that is not there. Else it is ``UnknownGroup``: a mistyped name
      would start over from the beginning.
    - ``types``, ``workflow_ids``: what the handler wants to see; the rest counts as handled, so
      give all members of a group the same.
    - ``member``: this member's name, unique among those alive. A name that survives a restart
      (a pod's, a host's) lets the member go on at once with what it had; else one is made up.
    - ``concurrency``: runs handled at the same time.
    - ``batch_events``: about how many events one exchange with the server takes.
    - ``max_in_hand_events``: how many events this member holds in memory, those of runs that
      wait after a failure included; when it is reached, no more are taken.
    - ``claim_after_ms``: after so long without a sign of life, a member's events go to others.
    - ``drain_ms``: how long ``stop`` lets handlers finish.

    Raises ``InvalidArgument``.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        handler: Handler,
        *,
        start: Start = "beginning",
        create: bool = False,
        types: str | Collection[str] | None = None,
        workflow_ids: str | Collection[str] | None = None,
        member: str | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        max_in_hand_events: int = DEFAULT_MAX_IN_HAND_EVENTS,
        claim_after_ms: int = DEFAULT_CLAIM_AFTER_MS,
        drain_ms: int = DEFAULT_DRAIN_MS,
        backoff: Backoff | None = None,
    ) -> None:
        if not isinstance(store, EventStore):
            raise InvalidArgument(f"a consumer group takes an EventStore, not {store!r}")
        if not callable(handler):
            raise InvalidArgument(f"a handler is a function of one event, not {handler!r}")
        if backoff is not None and not isinstance(backoff, Backoff):
            raise InvalidArgument(f"backoff must be a Backoff, not {backoff!r}")
        check_count("concurrency", concurrency)
        check_count("batch_events", batch_events)
        check_count("max_in_hand_events", max_in_hand_events)
        check_count("claim_after_ms", claim_after_ms)
        check_count("drain_ms", drain_ms, least=0)
        self.name = check_name("group name", name)
        self.member = check_name("member name", made_up_name() if member is None else member)
        self._store = store
        self._handler = handler
        self._start = check_start(start)
        self._create = create
        self._selection = Selection.of(types, workflow_ids)
        self._concurrency = concurrency
        self._bounds = Bounds(batch_events, max_in_hand_events, claim_after_ms)
        self._drain_s = drain_ms / 1000
        self._backoff = backoff or Backoff()
        self._counts = Counts()
        self._current: Member | None = None
        self._bound: asyncio.Timeout | None = None
        self._busy = False
        self._stopping = False
        self._waiting_for_end: list[asyncio.Future[None]] = []
