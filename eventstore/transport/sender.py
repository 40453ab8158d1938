"""Sends the appends that wait in one queue, batch after batch, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from eventstore.appends import PreparedAppend
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import RunStoreError
from eventstore.settings import Settings
from eventstore.transport.append_queue import AppendQueue, Ticket
from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import AsyncLine
from eventstore.transport.patience import Patience


class Sender:
    """One batch under way at a time; what comes meanwhile gathers for the next.

    A store has two, each with half of the partitions: while the server works on one's batch,
    this side works on the other's.
    """

    def __init__(
        self,
        queue: AppendQueue,
        line: AsyncLine,
        settings: Settings,
        pause: Callable[[Patience], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._line = line
        self._settings = settings
        self._pause = pause
        self._work = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="runstore-appends")

    async def send(self, prepared: PreparedAppend) -> AppendOutcome:
        """Let an append travel with the next batch, and wait for its outcome."""
        settled: asyncio.Future[AppendOutcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: AppendOutcome) -> None:
            if not settled.done():
                settled.set_result(outcome)

        self._queue.add(prepared, settle)
        self._work.set()
        return await settled

    async def close(self) -> None:
        """Send what waits, and end."""
        self._closing = True
        self._work.set()
        await self._task

    async def _run(self) -> None:
        while self._queue or not self._closing:
            if self._queue:
                await self._deliver()
            else:
                self._work.clear()
                await self._work.wait()

    async def _deliver(self) -> None:
        """Send one batch until every append in it is settled."""
        patience = Patience(self._settings)
        again: list[Ticket] = []
        while batch := self._queue.take(again):
            try:
                again = await self._attempt(batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                self._queue.failed(batch, error)
                return
            if not again:
                return
            await self._pause(patience)

    async def _attempt(self, batch: list[Ticket]) -> list[Ticket]:
        calls = self._queue.calls(batch)
        commands: list[Command[Any]] = [call.command for call in calls]
        if self._queue.confirmation is not None:
            commands.append(self._queue.confirmation)
        try:
            replies = await self._line.exchange(commands)
        except ConnectionLost as loss:
            return self._queue.lost(batch, loss)
        except RunStoreError as error:
            self._queue.refused(batch, error)
            return []
        again = self._queue.answered(calls, replies)
        if again:
            await self._line.forget_idle()
        return again
