"""Runs commands, plans and appends on asyncio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from eventstore.appends import Append, AppendResult, PreparedAppend, prepare
from eventstore.collector import uncollected
from eventstore.commands import AppendOutcome, Command
from eventstore.errors import InvalidArgument, RunStoreError
from eventstore.plan import Appends, Plan, Recall, Step, Wait
from eventstore.recall import is_archived, look_up
from eventstore.server import EmbeddedServer
from eventstore.transport.failures import ConnectionLost, is_not_now, refusal_of, unavailable
from eventstore.transport.lines import AsyncLine
from eventstore.transport.opening import Opened, Opening
from eventstore.transport.patience import Patience
from eventstore.transport.room import Room
from eventstore.transport.sender import Sender
from eventstore.transport.shelf import Shelf

T = TypeVar("T")
NOT_OPEN = "this store is not open: use it in a `with` statement"


logger = logging.getLogger("runstore.store")


def revive(embedded: EmbeddedServer) -> None:
    """Start an embedded server again if it died; whoever waits for it tries until the deadline."""
    try:
        embedded.ensure_running()
    except RunStoreError as error:
        logger.warning("the embedded server does not start: %s", error)


class AsyncExecutor:
    """The connections of one open store, and the senders of its appends."""

    def __init__(self, opening: Opening) -> None:
        self._settings = opening.settings
        self._opening = opening
        self._embedded: EmbeddedServer | None = None
        self._lines: tuple[AsyncLine, AsyncLine] | None = None
        self._opened: Opened | None = None
        self._shelf: Shelf | None = None
        self._sender: Sender | None = None
        self._room = Room(self._settings.max_waiting_appends)
        self.shown = ""

    async def start(self) -> None:
        """Reach the server (the embedded one where no URL was given) and open the namespace."""
        if self._lines is not None:
            raise InvalidArgument("this store is open already; open another")
        if self._opening.url is None:
            self._embedded = await asyncio.to_thread(self._opening.join_embedded)
        try:
            target = self._opening.target(self._embedded)
            self.shown = target.shown
            self._lines = (
                AsyncLine(target, self._settings, extra_ms=self._opening.confirmation_ms),
                AsyncLine(target, self._settings, extra_ms=self._settings.block_ms),
            )
            self._opened = await self.perform(self._opening.plan())
            self._shelf = self._opened.shelf(self._opening.archive)
        except BaseException:
            await self.close()
            raise
        queue = self._opened.queue(self.shown)
        self._sender = Sender(queue, self._lines[0], self._settings, self._pause)
        await self._sender.start()

    async def close(self) -> None:
        """Send what waits, close the connections, leave the embedded server."""
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.close()
        for line in self._lines or ():
            await line.close()
        if self._shelf is not None:
            await asyncio.to_thread(self._shelf.close)
        self._lines = self._opened = self._shelf = None
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.leave)
            self._embedded = None

    @property
    def opened(self) -> Opened:
        """The open namespace. Raises ``InvalidArgument`` when it is not open."""
        if self._opened is None:
            raise InvalidArgument(NOT_OPEN)
        return self._opened

    async def attempt(self, append: Append) -> AppendOutcome:
        """Append, and give the result or the error."""
        try:
            prepared = prepare(append, self._settings)
        except RunStoreError as error:
            return error
        if not self._room.take():
            await self._room.wait()
        try:
            if self._sender is None:
                return InvalidArgument(NOT_OPEN)
            outcome = await self._sender.send(prepared)
            if isinstance(outcome, AppendResult):
                return outcome
            return await self._recalled(prepared, outcome)
        except asyncio.CancelledError:
            if self._sender is not None:  # what gives its room back must not go on waiting
                self._sender.withdraw(prepared)
            raise
        finally:
            self._room.give_back()

    async def _recalled(self, append: PreparedAppend, outcome: AppendOutcome) -> AppendOutcome:
        """Settle a retried append whose run stream was dropped since."""
        while is_archived(outcome):
            try:
                found = await self._recall(look_up(append, outcome))
            except RunStoreError as error:
                return error
            if self._sender is None or not isinstance(found, PreparedAppend):
                return found or outcome
            append = found
            outcome = await self._sender.send(append)
        return outcome

    async def perform(self, plan: Plan[T]) -> T:
        """Run a plan: do each step that it yields and send it the result."""
        try:
            step = next(plan)
            while True:
                try:
                    result = await self._do(step)
                except RunStoreError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Append):
            outcome = await self.attempt(step)
            if isinstance(outcome, RunStoreError):
                raise outcome
            return outcome
        if isinstance(step, Appends):
            return await asyncio.gather(*map(self.attempt, step.appends))
        if isinstance(step, Wait):
            return (await self._ask([step.command], blocking=True))[0]
        if isinstance(step, Recall):
            return await self._recall(step)
        return await self._ask(step, blocking=False)

    async def _recall(self, step: Recall) -> Any:
        if self._shelf is None:
            raise InvalidArgument(NOT_OPEN)
        if self._shelf.is_empty:
            return None
        return await asyncio.to_thread(self._shelf.recall, step.read)

    async def _ask(self, commands: Sequence[Command[Any]], *, blocking: bool) -> list[Any]:
        """Send commands that may be sent twice; wait out restarts until the deadline."""
        patience = Patience(self._settings)
        while True:
            try:
                line = self._line(blocking=blocking)
                replies = await line.exchange(commands)
                failed = next((r for r in replies if isinstance(r, Exception)), None)
                if failed is None:
                    with uncollected():
                        return [c.decode(r) for c, r in zip(commands, replies, strict=True)]
                if not is_not_now(failed):
                    raise refusal_of(failed)
                await line.forget_idle()
            except ConnectionLost as loss:
                failed = loss.cause
            if patience.is_over:
                raise unavailable(self.shown, failed, self._settings.append_timeout_ms)
            await self._pause(patience)

    async def _pause(self, patience: Patience) -> None:
        """Pause before the next attempt; an embedded server that died is started again."""
        if self._embedded is not None:
            await asyncio.to_thread(revive, self._embedded)
        await asyncio.sleep(patience.next_pause_s())

    def _line(self, *, blocking: bool) -> AsyncLine:
        if self._lines is None:
            raise InvalidArgument(NOT_OPEN)
        return self._lines[1 if blocking else 0]
