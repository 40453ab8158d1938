"""Runs that go on reach one worker of a group, with the context to go on with."""

from __future__ import annotations

import asyncio

import pytest
from replaying import HOUR, control, pause, server_now, types

from eventstore import EventStore, InvalidArgument, NewEvent, Retry
from pausing.ground import begin_watched, reconciler
from replay import Definitions, Restorer, RunContext, leave_to_workers, worker_group

DONE = NewEvent("run.completed", {"output": "done"})


class Finishing:
    """Ends each run that it is handed, after as many failures as it is told."""

    def __init__(self, store: EventStore, failures: int = 0) -> None:
        self._store = store
        self._failures = failures
        self.contexts: list[RunContext] = []

    async def __call__(self, context: RunContext) -> None:
        self.contexts.append(context)
        if len(self.contexts) <= self._failures:
            raise Retry(0)
        await self._store.append(context.run_id, DONE, expected=context.version)


async def test_each_way_of_going_on_without_a_worker_reaches_the_group(store: EventStore) -> None:
    # given runs that go on: restored, decided, recovered; and one resumed by hand
    await pause(store, "restored")
    await pause(store, "decided", window=HOUR)
    await pause(store, "by-hand", window=HOUR)
    await begin_watched(store, "recovered")
    await Restorer(store, leave_to_workers).run_once()
    await control(store).decide("decided", {"approved": True})
    await control(store).resume("by-hand")
    later = await server_now(store) + HOUR
    await reconciler(store, leave_to_workers).run_once(now=later)
    # when two members of a group work
    work = Finishing(store)
    members = [worker_group(store, "workers", work, create=True) for _ in range(2)]
    await asyncio.gather(*(member.run_to_end() for member in members))
    # then each run but the last has been given to one, with its context
    contexts = {context.run_id: context for context in work.contexts}
    assert sorted(contexts) == ["decided", "recovered", "restored"]
    assert len(work.contexts) == 3
    assert contexts["decided"].answer == {"approved": True}
    assert contexts["decided"].state == {"step": 1, "approved": True}
    assert contexts["restored"].restored
    for run_id in contexts:
        assert types(await store.load(run_id))[-1] == "run.completed"


async def test_a_worker_that_fails_gets_the_run_again(store: EventStore) -> None:
    await pause(store, "run")
    await Restorer(store, leave_to_workers).run_once()
    work = Finishing(store, failures=2)
    await worker_group(store, "workers", work, create=True).run_to_end()
    assert len(work.contexts) == 3
    assert work.contexts[0] == work.contexts[2]


async def test_a_run_that_pauses_again_or_ends_is_passed_over(store: EventStore) -> None:
    for run_id in ("ended", "paused"):
        await pause(store, run_id)
    await Restorer(store, leave_to_workers).run_once()
    await store.append("ended", DONE)
    await pause(store, "paused", window=HOUR, expected=None)
    work = Finishing(store)
    await worker_group(store, "workers", work, create=True).run_to_end()
    assert work.contexts == []


async def test_a_changed_definition_parks_the_run(store: EventStore) -> None:
    created = NewEvent("run.created", {"definition_hash": "v1"}, workflow_id="intake")
    await store.append("run", created)
    await pause(store, "run", expected=1)
    await Restorer(store, leave_to_workers).run_once()
    work = Finishing(store)
    definitions = Definitions({"intake": "v2"})
    group = worker_group(
        store, "workers", work, definitions=definitions, create=True, max_deliveries=1
    )
    await group.run_to_end()
    assert work.contexts == []
    assert [each.run_id for each in await group.parked()] == ["run"]


def test_work_must_be_callable(store: EventStore) -> None:
    with pytest.raises(InvalidArgument):
        worker_group(store, "workers", None)  # type: ignore[arg-type]
