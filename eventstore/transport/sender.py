"""Sends the appends of one store on asyncio: each partition's in order, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

from eventstore.appends import PreparedAppend
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import RunStoreError
from eventstore.settings import Settings
from eventstore.transport.append_queue import AppendQueue, Call, Ticket
from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import AsyncLine, words_of
from eventstore.transport.patience import Patience
from eventstore.transport.pipe import Pipe

FULL_APPENDS = 32
"""With so many waiting, a partition's call goes out before the tasks that are ready have run."""


class Sender:
    """One call of each partition under way at a time; what comes meanwhile gathers for the next.

    Calls go out on one connection, without waiting for each other. Whatever does not get its
    reply there, or needs a confirmation behind it, is delivered by a task of its own.
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
        self._under_way: set[int] = set()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._connecting = False
        self._sends_soon = False
        self._settled = asyncio.Event()

    def send(self, prepared: PreparedAppend) -> asyncio.Future[AppendOutcome]:
        """Let an append travel with its partition's next call; give its outcome to wait for."""
        outcome: asyncio.Future[AppendOutcome] = self._loop.create_future()
        partition = self._queue.add(prepared, outcome)
        if partition not in self._under_way:
            if self._open_pipe and self._queue.waiting_in(partition) >= FULL_APPENDS:
                self._send([partition])
            else:
                self._send_soon()
        return outcome

    async def start(self) -> None:
        """Connect."""
        await self._connect()

    async def close(self) -> None:
        """Send what waits, and end."""
        while self._queue or self._under_way:
            self._settled.clear()
            await self._settled.wait()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        if self._pipe is not None:
            await self._pipe.close()

    def _send_soon(self) -> None:
        """Send when the tasks that are ready now have run: their appends travel along."""
        if not self._sends_soon:
            self._sends_soon = True
            self._loop.call_soon(self._send_all)

    def _send_all(self) -> None:
        self._sends_soon = False
        if partitions := [p for p in self._queue.partitions if p not in self._under_way]:
            self._send(partitions)

    def _send(self, partitions: Collection[int]) -> None:
        self._under_way.update(partitions)
        pipe = self._open_pipe
        if pipe is None:
            self._start(self._deliver(partitions))
            return
        calls = self._queue.take(partitions)
        try:
            pipe.write([(words_of(call.command), call) for call in calls])
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            pipe.retire()
            self._queue.failed(calls, error)
            self._free(partitions)

    def _answered(self, call: Call, reply: Any) -> None:
        """Settle a call that came back on the pipe."""
        try:
            again = self._queue.answered([call], [reply])
        except Exception as error:  # noqa: BLE001 - as above
            self._queue.failed([call], error)
            again = []
        if again:
            self._start(self._redeliver([call.partition], again))
        else:
            self._free([call.partition])

    def _lost(self, calls: list[Call], loss: ConnectionLost) -> None:
        """Go on with the calls that the pipe took along when it broke."""
        again = self._queue.lost(calls, loss)
        self._start(self._redeliver([call.partition for call in calls], again))

    def _free(self, partitions: Collection[int]) -> None:
        """Let the next calls of these partitions go out."""
        self._under_way.difference_update(partitions)
        self._settled.set()
        if any(map(self._queue.waiting_in, partitions)):
            self._send_soon()

    def _start(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(delivery, name="runstore-appends")
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _redeliver(self, partitions: Collection[int], again: Sequence[Ticket]) -> None:
        """Deliver what the server could not take on the connections that there are."""
        if self._pipe is not None:
            self._pipe.retire()
        await self._line.forget_idle()
        await self._deliver(partitions, again)

    async def _deliver(self, partitions: Collection[int], again: Sequence[Ticket] = ()) -> None:
        """Send one batch until every append in it is settled; then connect anew if need be."""
        patience = Patience(self._settings)
        while calls := self._queue.take(partitions, again):
            try:
                again = await self._attempt(calls)
            except Exception as error:  # noqa: BLE001 - as above
                self._queue.failed(calls, error)
                break
            if not again:
                break
            await self._pause(patience)
        self._free(partitions)
        await self._connect()

    async def _attempt(self, calls: Sequence[Call]) -> list[Ticket]:
        commands: list[Command[Any]] = [call.command for call in calls]
        if self._queue.confirmation is not None:
            commands.append(self._queue.confirmation)
        try:
            replies = await self._line.exchange(commands)
        except ConnectionLost as loss:
            return self._queue.lost(calls, loss)
        except RunStoreError as error:
            self._queue.refused(calls, error)
            return []
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
