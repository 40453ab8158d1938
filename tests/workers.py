"""What the worker processes of the replay tests do: race, restore, and die on purpose."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from typing import Any

from eventstore import AlreadyResumed, EventStore, NewEvent, SyncEventStore
from eventstore.transport.lines import AsyncLine, BlockingLine
from eventstore.transport.pipe import Pipe
from replay import Restorer, RunContext, RunControl, SyncRestorer, SyncRunControl

PATIENCE_S = 60
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "eventstore", "replay", "redis.asyncio"])


def at_once(work: Any, each: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run ``work`` in one process for each tuple of arguments; give what they put out, unordered.

    They all get a barrier to wait at, and ``put``; each must put one thing.
    """
    barrier, queue = PROCESSES.Barrier(len(each)), PROCESSES.Queue()
    processes = [PROCESSES.Process(target=work, args=(*a, barrier, queue)) for a in each]
    for process in processes:
        process.start()
    try:
        return [queue.get(timeout=PATIENCE_S) for _ in processes]
    finally:
        for process in processes:
            process.join(PATIENCE_S)
            process.close()


def exit_code_of(work: Any, *arguments: Any) -> int:
    """Run ``work`` in a process of its own and give its exit code: below 0 if it was killed."""
    process = PROCESSES.Process(target=work, args=arguments)
    process.start()
    process.join(PATIENCE_S)
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def race_to_resume(
    form: str,
    url: str,
    namespace: str,
    run_ids: Sequence[str],
    actor: str,
    barrier: Any,
    queue: Any,
) -> None:
    """Resume runs, each at the same moment as the others do; put the outcome of each."""

    async def race() -> list[tuple[str, str, Any]]:
        async with EventStore.open(url, namespace=namespace) as store:
            control = RunControl(store)
            outcomes = []
            for run_id in run_ids:
                barrier.wait(PATIENCE_S)
                try:
                    outcomes.append((run_id, "won", await control.resume(run_id, actor=actor)))
                except AlreadyResumed as error:
                    outcomes.append((run_id, "lost", error))
        return outcomes

    def race_blocking() -> list[tuple[str, str, Any]]:
        with SyncEventStore.open(url, namespace=namespace) as store:
            control = SyncRunControl(store)
            outcomes = []
            for run_id in run_ids:
                barrier.wait(PATIENCE_S)
                try:
                    outcomes.append((run_id, "won", control.resume(run_id, actor=actor)))
                except AlreadyResumed as error:
                    outcomes.append((run_id, "lost", error))
        return outcomes

    queue.put(asyncio.run(race()) if form == "asyncio" else race_blocking())


def restore_all(form: str, url: str, namespace: str, barrier: Any, queue: Any) -> None:
    """Restore until nothing is due; put the contexts that were handed over, and the counts."""
    handed: list[RunContext] = []

    async def restore() -> Any:
        async with EventStore.open(url, namespace=namespace) as store:
            service = Restorer(store, handed.append)
            barrier.wait(PATIENCE_S)
            while (await service.run_once(limit=5)).scanned:
                pass
            return service.counts

    def restore_blocking() -> Any:
        with SyncEventStore.open(url, namespace=namespace) as store:
            service = SyncRestorer(store, handed.append)
            barrier.wait(PATIENCE_S)
            while service.run_once(limit=5).scanned:
                pass
            return service.counts

    counts = asyncio.run(restore()) if form == "asyncio" else restore_blocking()
    queue.put((handed, counts.numbers))


FINISH = (
    ("node.completed", {"node_id": "write", "patch": {"written": True}}),
    ("run.completed", {"output": "done"}),
)


def finishing() -> list[NewEvent]:
    """What a worker appends to a run that was handed to it."""
    return [NewEvent(kind, dict(data)) for kind, data in FINISH]


def restore_and_die(form: str, url: str, namespace: str, number: int, moment: str) -> None:
    """Restore once, and be killed right before or after the ``number``-th call to the server."""

    async def restore() -> None:
        async with EventStore.open(url, namespace=namespace) as store:

            async def finish(context: RunContext) -> None:
                await store.append(context.run_id, finishing(), expected=context.version)

            _die(AsyncLine, number, moment)
            await Restorer(store, finish).run_once()

    def restore_blocking() -> None:
        with SyncEventStore.open(url, namespace=namespace) as store:

            def finish(context: RunContext) -> None:
                store.append(context.run_id, finishing(), expected=context.version)

            _die(BlockingLine, number, moment)
            SyncRestorer(store, finish).run_once()

    if form == "asyncio":
        asyncio.run(restore())
    else:
        restore_blocking()


def _die(line: Any, number: int, moment: str) -> None:
    """Let this process be killed at the ``number``-th call from now."""
    exchange, calls = line.exchange, 0

    def meet(now: str) -> None:
        nonlocal calls
        calls += now == "before"
        if calls == number and now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    async def exchange_async(self: Any, *arguments: Any) -> Any:
        meet("before")
        replies = await exchange(self, *arguments)
        meet("after")
        return replies

    def exchange_blocking(self: Any, *arguments: Any) -> Any:
        meet("before")
        replies = exchange(self, *arguments)
        meet("after")
        return replies

    line.exchange = exchange_async if line is AsyncLine else exchange_blocking
    write, read = Pipe.write, Pipe._reply

    def write_piped(self: Any, calls: Any) -> None:
        meet("before")
        write(self, calls)

    async def read_piped(self: Any) -> Any:
        reply = await read(self)
        meet("after")
        return reply

    patched: Any = Pipe
    patched.write, patched._reply = write_piped, read_piped
