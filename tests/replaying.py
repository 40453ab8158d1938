"""Pausing, restoring and time travel for tests: both forms behind one face, and steered races."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from eventstore import EventStore, NewEvent, RecordedEvent, RunStoreError
from eventstore.appends import Append
from eventstore.commands import server_time
from eventstore.operations import Operations
from eventstore.plan import Plan, Step
from projections.state import RunState, fold
from replay import (
    Restorer,
    RunContext,
    RunControl,
    SyncRestorer,
    SyncRunControl,
    SyncTimeTravel,
    TimeTravel,
)
from replay.expiry import Effect, Handover, take_effect

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
LEASE_MS = 30_000
HANDOVER_MS = 60_000
ON_EXPIRY = ("restore", "park", "fail", "abort")
RESTORED = ["run.window_expired", "run.restored", "run.resumed"]
ENDED = {
    "restore": RESTORED,
    "park": ["run.window_expired"],
    "fail": ["run.window_expired", "run.failed"],
    "abort": ["run.window_expired", "run.aborted"],
}
NUDGE = NewEvent("signal.received", {"type": "nudge"})


class AnyForm:
    """A service of either form behind the asyncio face: a blocking one runs in a thread."""

    def __init__(self, service: Any, *, blocking: bool) -> None:
        self._service = service
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._service, name)
        if not callable(value):
            return value

        async def call(*arguments: Any, **named: Any) -> Any:
            if self._blocking:
                return await asyncio.to_thread(value, *arguments, **named)
            result = value(*arguments, **named)
            return await result if inspect.isawaitable(result) else result

        return call


def _form(store: Any, asyncio_form: Any, blocking_form: Any, *more: Any, **options: Any) -> Any:
    if isinstance(store, EventStore):
        return AnyForm(asyncio_form(store, *more, **options), blocking=False)
    return AnyForm(blocking_form(store._blocking, *more, **options), blocking=True)


def control(store: Any) -> Any:
    """Give the ``RunControl`` of a store of either form."""
    return _form(store, RunControl, SyncRunControl)


def restorer(store: Any, on_restored: Callable[[RunContext], Any], **options: Any) -> Any:
    """Give the ``Restorer`` of a store of either form."""
    return _form(store, Restorer, SyncRestorer, on_restored, **options)


def travel(store: Any) -> Any:
    """Give the ``TimeTravel`` of a store of either form."""
    return _form(store, TimeTravel, SyncTimeTravel)


class Workers:
    """A callback that keeps what it is given, and raises as often as it is told."""

    def __init__(self, raising: int = 0) -> None:
        self.contexts: list[RunContext] = []
        self._raising = raising

    def __call__(self, context: RunContext) -> None:
        self.contexts.append(context)
        if len(self.contexts) <= self._raising:
            raise ConnectionError("the queue of the workers is down")

    @property
    def runs(self) -> list[str]:
        return sorted(context.run_id for context in self.contexts)


async def begin(store: Any, run_id: str, *more: NewEvent) -> None:
    """Let a run begin."""
    await store.append(run_id, [NewEvent("run.created", {"input": 7}, workflow_id="intake"), *more])


async def pause(store: Any, run_id: str, **options: Any) -> Any:
    """Pause a run, beginning it if need be: with the id ``p``, at once over, to be restored."""
    if "expected" not in options:
        await begin(store, run_id)
    given = {"state": {"step": 1}, "resume_at": "next", "window": 0, "on_expiry": "restore"}
    return await control(store).pause(run_id, **{"pause_id": "p", **given, **options})


def types(events: Iterable[RecordedEvent]) -> list[str]:
    """Give the types of events."""
    return [event.type for event in events]


def timeless(events: Sequence[RecordedEvent]) -> RunState:
    """Fold events as if all runs were one run and all had happened at the same fixed times."""
    epoch = datetime(2024, 1, 1, tzinfo=UTC)
    return fold(
        replace(event, run_id="run", occurred_at=epoch + timedelta(seconds=event.version))
        for event in events
    )


async def server_now(store: Any) -> datetime:
    """Give the time by the server's clock."""
    (now_ms,) = await store.perform(_single([server_time()]))
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def timers(server: Any, namespace: str) -> list[str]:
    """Give the names of all timers that are set, without the store's help."""
    keys = server.admin.scan_iter(f"{{{namespace}:*}}:due", count=1000)
    return sorted(name.decode() for key in keys for name in server.admin.zrange(key, 0, -1))


# Steered races: plans yield each step, so that a test decides who goes when.


def restoring(
    operations: Operations, handed: list[RunContext], now_ms: int, lease_ms: int = LEASE_MS
) -> Plan[list[Effect]]:
    """Do what one round of a restorer does, as a plan; give the effects."""
    effects = []
    for due in (yield from operations.due(now_ms, 100, lease_ms)):
        effect = yield from take_effect(operations, due, now_ms, HANDOVER_MS)
        effects.append(effect)
        if isinstance(effect, Handover):
            handed.append(effect.context)
            yield from operations.settle(effect.due)
    return effects


def interrupted(plan: Plan[Any], number: int, rival: Plan[Any]) -> Plan[tuple[Any, Any]]:
    """Run a plan, and before its ``number``-th step a rival from beginning to end.

    Gives the result or error of each; the rival's is None if there was no such step.
    """
    steps, outcome = _Steps(plan), None
    while not steps.done:
        if steps.taken + 1 == number:
            outcome = yield from _outcome(rival)
        yield from steps.advance()
    return steps.outcome, outcome


def interleaved(plans: Sequence[Plan[Any]], choices: Iterator[int]) -> Plan[list[Any]]:
    """Run plans a step at a time, in the order that the choices give.

    Gives the result or error of each.
    """
    all_steps = [_Steps(plan) for plan in plans]
    while waiting := [steps for steps in all_steps if not steps.done]:
        yield from waiting[next(choices, 0) % len(waiting)].advance()
    return [steps.outcome for steps in all_steps]


class _Steps:
    """A plan that is run one step at a time."""

    def __init__(self, plan: Plan[Any]) -> None:
        self._plan = plan
        self._step: Step = []
        self.taken = 0
        self.done = False
        self.outcome: Any = None
        self._follow(lambda: next(plan))

    def advance(self) -> Plan[None]:
        """Take the next step."""
        self.taken += 1
        try:
            result = yield self._step
        except RunStoreError as error:
            failure = error
            self._follow(lambda: self._plan.throw(failure))
        else:
            self._follow(lambda: self._plan.send(result))

    def _follow(self, go_on: Callable[[], Step]) -> None:
        try:
            self._step = go_on()
        except StopIteration as finished:
            self.done, self.outcome = True, finished.value
        except RunStoreError as error:
            self.done, self.outcome = True, error


def _single(step: Step) -> Plan[Any]:
    return (yield step)


def _outcome(plan: Plan[Any]) -> Plan[Any]:
    try:
        return (yield from plan)
    except RunStoreError as error:
        return error


def appending(run_id: str, *events: NewEvent) -> Plan[Any]:
    """Append to a run, as a plan."""
    return (yield Append(run_id, events))
