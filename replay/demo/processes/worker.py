"""A worker: ``python -m replay.demo.processes.worker [FOLDER] [NAME]``. Start as many as you like.

Work reaches it by consumer group: each run that was created or resumed is handed to one of the
workers. When that one dies on the way, the group hands the same event to another, which reads
from the history how far the run is, and goes on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial

from eventstore import EventStore, RecordedEvent, RunClosed, WrongExpectedVersion
from eventstore.groups import ConsumerGroup
from projections import RunState, fold
from replay.demo.orders import WORKFLOW
from replay.demo.processes.execution import Execution, NodeError
from replay.demo.processes.parent import when_parent_ends
from replay.demo.processes.workflow import fulfil

GROUP = "demo-workers"
WORK = ("run.created", "run.resumed")
RUNS_AT_ONCE = 4
SILENT_MS = 1_000
"""After so long without a sign of life, a worker's runs go to the others."""


async def handle(store: EventStore, worker: str, event: RecordedEvent) -> None:
    """Go on with the run that was created or resumed by ``event``."""
    history = await store.load(event.run_id)
    known = fold(history)
    if known.status == "paused" or known.ended_ms or _has_later_work(history, event):
        return
    run = Execution(store, known, worker)
    try:
        await _take(run, known, event, worker)
        await _finish(run)
    except (WrongExpectedVersion, RunClosed):
        return  # the fence: another worker has this run now


async def _finish(run: Execution) -> None:
    try:
        await fulfil(run)
    except NodeError as problem:
        await run.append("run.failed", {"error": problem.error})


async def _take(run: Execution, known: RunState, event: RecordedEvent, worker: str) -> None:
    """Make the run this worker's, by an event: whoever still works on it is refused from here."""
    if known.version > event.version:
        reason = "its worker went silent"
        await run.append("run.recovered", {"reason": reason})
    elif event.type == "run.created":
        await run.append("run.started", {"worker": worker})


def _has_later_work(history: list[RecordedEvent], event: RecordedEvent) -> bool:
    """Say whether the run was resumed since: then that event's worker goes on with it."""
    return any(later.type in WORK for later in history[event.version :])


async def work(folder: str, worker: str) -> None:
    """Take runs until the parent process ends or says so."""
    async with EventStore.open(folder=folder, partitions=None) as store:
        group = ConsumerGroup(
            store,
            GROUP,
            partial(handle, store, worker),
            create=True,
            types=WORK,
            workflow_ids=WORKFLOW,
            concurrency=RUNS_AT_ONCE,
            batch_events=RUNS_AT_ONCE,
            lease_ms=SILENT_MS,
        )
        when_parent_ends(partial(asyncio.get_running_loop().call_soon_threadsafe, group.stop))
        await group.run()


if __name__ == "__main__":
    folder, name = [*sys.argv[1:], ".runstore", f"worker-{os.getpid()}"][:2]
    asyncio.run(work(folder, name))
