"""Sends the appends of one store on asyncio: each partition's in order, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from eventstore.appends import PreparedAppend
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import RunStoreError
from eventstore.settings import Settings
from eventstore.transport.append_queue import AppendQueue, Call
from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import AsyncLine, words_of
from eventstore.transport.patience import Patience
from eventstore.transport.pipe import Pipe

FEW_APPENDS = 4
FULL_APPENDS = 16
"""With so many waiting, a partition's call goes out before the tasks that are ready have run: few
while the server has nothing to do, more with each call that is under way."""


class Sender:
    """Sends on one connection, and never waits for one reply before it sends the next call.

    While calls of a partition are under way, what comes gathers until there is a full call. What
    does not get its reply there, or needs a confirmation behind it, is delivered by a task.
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
        self._loop = asyncio.get_running_loop()
        self._pipe: Pipe[Call] | None = None
        self._connecting = False
        self._sends_soon = False
        self._deliveries: set[asyncio.Task[None]] = set()
        self._delivered: set[int] = set()
        """The partitions that tasks are delivering for."""
        self._came_back = asyncio.Event()

    async def start(self) -> None:
        """Connect."""
        await self._connect()

    async def close(self) -> None:
        """Send what waits, and end."""
        while not self._queue.is_done:
            self._came_back.clear()
            await self._came_back.wait()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        if self._pipe is not None:
            await self._pipe.close()

    def send(self, prepared: PreparedAppend) -> asyncio.Future[AppendOutcome]:
        """Let an append travel with the next call; give its outcome to wait for."""
        outcome: asyncio.Future[AppendOutcome] = self._loop.create_future()
        partition = self._queue.add(prepared, outcome)
        pipe = self._open_pipe
        if pipe is not None and self._queue.waiting_in(partition) >= _full(pipe):
            self._write(pipe, [partition])
        else:
            self._send_soon()
        return outcome

    def withdraw(self, prepared: PreparedAppend) -> None:
        """Do not send an append for which nobody waits any more, if that is not too late."""
        self._queue.withdraw(prepared)
        self._came_back.set()

    def _send_soon(self) -> None:
        """Send when the tasks that are ready now have run: their appends travel along."""
        if not self._sends_soon:
            self._sends_soon = True
            self._loop.call_soon(self._send_all)

    def _send_all(self) -> None:
        self._sends_soon = False
        partitions = [p for p in self._queue.partitions if not self._queue.is_under_way(p)]
        pipe = self._open_pipe
        if pipe is not None:
            self._write(pipe, partitions)
        else:
            self._deliver_soon(partitions)

    def _write(self, pipe: Pipe[Call], partitions: Iterable[int]) -> None:
        calls = self._queue.take(p for p in partitions if p not in self._delivered)
        if not calls:
            return
        try:
            pipe.write([(words_of(call.command), call) for call in calls])
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            pipe.retire()
            self._queue.failed(calls, error)
            self._go_on()

    def _answered(self, call: Call, reply: Any) -> None:
        """Settle a call that came back on the pipe."""
        try:
            again = self._queue.answered([call], [reply])
        except Exception as error:  # noqa: BLE001 - as above
            self._queue.failed([call], error)
            again = False
        if again:
            self._deliver_soon([call.partition])
        self._go_on()

    def _lost(self, calls: list[Call], loss: ConnectionLost) -> None:
        """Go on with the calls that the pipe took along when it broke."""
        self._queue.lost(calls, loss)
        self._deliver_soon(call.partition for call in calls)
        self._go_on()

    def _go_on(self) -> None:
        """Let the next calls go out, now that some came back."""
        self._came_back.set()
        if self._queue:
            self._send_soon()

    def _deliver_soon(self, partitions: Iterable[int]) -> None:
        chosen = set(partitions) - self._delivered
        if chosen:
            self._delivered |= chosen
            task = self._loop.create_task(self._deliver(chosen), name="runstore-appends")
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, partitions: set[int]) -> None:
        """Deliver what waits for some partitions, on connections of the pool; then connect anew."""
        if self._pipe is not None:  # a call did not get its reply there
            self._pipe.retire()
            self._pipe = None
            await self._line.forget_idle()
        patience = Patience(self._settings)
        while calls := self._queue.take(partitions):
            try:
                again = await self._attempt(calls)
            except Exception as error:  # noqa: BLE001 - as above
                self._queue.failed(calls, error)
                break
            if not again:
                break
            await self._pause(patience)
        self._delivered -= partitions
        self._go_on()
        await self._connect()

    async def _attempt(self, calls: Sequence[Call]) -> bool:
        """Send calls once; say whether some of it is to be tried again."""
        commands: list[Command[Any]] = [call.command for call in calls]
        if self._queue.confirmation is not None:
            commands.append(self._queue.confirmation)
        try:
            replies = await self._line.exchange(commands)
        except ConnectionLost as loss:
            return self._queue.lost(calls, loss)
        except RunStoreError as error:
            self._queue.refused(calls, error)
            return False
        again = self._queue.answered(calls, replies)
        if again:
            await self._line.forget_idle()
        return again

    @property
    def _open_pipe(self) -> Pipe[Call] | None:
        return self._pipe if self._pipe is not None and self._pipe.is_open else None

    async def _connect(self) -> None:
        """Open a pipe if there is none; where that fails, the next delivery tries again."""
        if self._queue.confirmation is not None or self._connecting or self._open_pipe:
            return
        self._connecting = True
        try:
            self._pipe = await self._line.pipe(self._answered, self._lost)
        except (ConnectionLost, RunStoreError):
            self._pipe = None
        finally:
            self._connecting = False


def _full(pipe: Pipe[Call]) -> int:
    """Say how many appends make a call worth its while."""
    return min(FEW_APPENDS + pipe.under_way, FULL_APPENDS)
