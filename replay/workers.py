"""Workers that go on with runs, as a consumer group: start as many as you like, anywhere.

Runs that go on without a worker of their own (their window ended, a signal or a decision came,
their worker fell silent) reach one worker of the group each, which gets the context to go on
with. Let restorers and reconcilers leave the runs to it:

    Restorer(store, leave_to_workers)
    await worker_group(store, "workers", work, create=True).run()
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

from eventstore import ConsumerGroup, EventStore, InvalidArgument, RecordedEvent
from eventstore.groups.handling.delivery import Delivery
from projections.state import fold
from replay.context import RunContext, context_since, others_at_work
from replay.definitions import Definitions
from replay.recovering import RECOVERED

RESUMED = "run.resumed"
CAUSES = frozenset({"window_expired", "signal", "timeout", "decision"})
"""The causes of resumes that are left to workers by default: who resumes by hand goes on."""

Work = Callable[[RunContext], Awaitable[None] | None]


def worker_group(
    store: EventStore,
    name: str,
    work: Work,
    *,
    causes: Collection[str] = CAUSES,
    definitions: Definitions | None = None,
    **options: Any,
) -> ConsumerGroup:
    """Make one member of a group of workers; run it with ``run()``.

    - ``work``: is given the ``RunContext``, async or not. It appends with
      ``expected=context.version``; what it raises is handled as in any consumer group: the run
      comes again, and is parked after ``max_deliveries``.
    - ``causes``: the causes of ``run.resumed`` that are for workers.
    - ``definitions``: the workflows' definitions here; a run of another one raises
      ``DefinitionChanged``.
    - ``options``: as ``ConsumerGroup`` takes them.

    A run comes at least once, with the version at which it stands. It is passed over where it
    ended, paused again, or was recovered since, which brings it by itself.
    """
    if not callable(work):
        raise InvalidArgument(f"work must be callable, not {work!r}")

    async def handle(event: RecordedEvent, delivery: Delivery) -> None:
        if event.type == RESUMED and event.data["cause"] not in causes:
            return
        events = await store.load(event.run_id)
        context = context_for(event, events, is_repeat=delivery.attempt > 1)
        if context is None:
            return
        if definitions is not None:
            definitions.check(context.run_id, context.workflow_id, context.definition_hash)
        done = work(context)
        if inspect.isawaitable(done):
            await done

    return ConsumerGroup(store, name, handle, types={RESUMED, RECOVERED}, **options)


def leave_to_workers(_context: RunContext) -> None:
    """Hand a run on by doing nothing: the event that tells of it reaches the group."""


def context_for(
    event: RecordedEvent, events: list[RecordedEvent], *, is_repeat: bool
) -> RunContext | None:
    """Give the context that an event is for; None if the run does not wait for this worker."""
    later = events[event.version :]
    pause_id = event.data.get("pause_id")
    # Another branch may pause meanwhile; in a repeat, it is what the worker got to before, unless
    # other branches were at work: better twice than never.
    got_on = is_repeat and not _is_beside_others(event, events)
    waits = any(
        each.type == "run.paused" and (got_on or each.data["pause_id"] == pause_id)
        for each in later
    )
    state = fold(events)
    if waits or state.ended_ms is not None or any(each.type == RECOVERED for each in later):
        return None
    if event.type == RECOVERED:
        return RunContext.recovered(state)
    return replace(context_since(events, event.version), version=state.version)


def _is_beside_others(event: RecordedEvent, events: list[RecordedEvent]) -> bool:
    """Say whether other branches were at work while the pause that an event ends was open."""
    pauses = [
        each.version
        for each in events[: event.version]
        if each.type == "run.paused" and each.data["pause_id"] == event.data.get("pause_id")
    ]
    return bool(pauses) and others_at_work(events, pauses[-1], event.version)
