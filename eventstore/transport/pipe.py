"""A connection on which calls go out while the replies to earlier ones are still to come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from hiredis import pack_command

from eventstore.transport.failures import BROKEN, ERROR_REPLIES, ConnectionLost

T = TypeVar("T")
Words = tuple[Any, ...]


class Pipe(Generic[T]):
    """One connection; it answers calls in their order, and when it breaks it is done with.

    ``answered`` gets what was written with a call, and its reply (an error reply as exception).
    ``lost`` gets what was written with the calls that no reply came for. Neither may raise.
    """

    def __init__(
        self,
        connection: Any,
        reply_timeout_s: float,
        release: Callable[[Any], Awaitable[None]],
        answered: Callable[[T, Any], None],
        lost: Callable[[list[T], ConnectionLost], None],
    ) -> None:
        self._connection = connection
        self._reply_timeout_s = reply_timeout_s
        self._release = release
        self._answered = answered
        self._lost = lost
        self._expected: deque[T] = deque()
        self._limit: asyncio.Timeout | None = None
        self.is_open = True
        """Whether calls may be written."""
        self._reader = asyncio.create_task(self._read(), name="runstore-pipe")

    @property
    def under_way(self) -> int:
        """How many calls wait for their replies."""
        return len(self._expected)

    def write(self, calls: Iterable[tuple[Words, T]]) -> None:
        """Send calls at once, without waiting for anything."""
        packed = [(pack_command(words), what) for words, what in calls]
        # redis-py sends only from coroutines, and those begin when all that is ready has run:
        # the server would stand idle until the last of a thousand tasks has its append laid out.
        self._connection._writer.writelines([call for call, _ in packed])  # noqa: SLF001
        was_idle = not self._expected
        self._expected.extend(what for _, what in packed)
        if was_idle:
            self._bound_waiting()

    def retire(self) -> None:
        """Take no more calls, and close when the last reply is there."""
        self.is_open = False
        if not self._expected:
            self._reader.cancel()

    async def close(self) -> None:
        """Close the connection."""
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        # Reading never pauses: a server that closes an idle connection is noticed at once.
        cause: Exception = ConnectionError("the connection was closed")
        try:
            async with asyncio.timeout(None) as self._limit:
                self._bound_waiting()
                while self.is_open or self._expected:
                    reply = await self._reply()
                    what = self._expected.popleft()
                    self._bound_waiting()
                    self._answered(what, reply)
        except (*BROKEN, IndexError) as error:  # IndexError: a reply that nobody asked for
            cause = error
        finally:
            self.is_open = False
            if self._expected:
                self._lost(list(self._expected), ConnectionLost(cause, sent=True))
            await self._connection.disconnect(nowait=True)
            await self._release(self._connection)

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ERROR_REPLIES as error:
            return error

    def _bound_waiting(self) -> None:
        """Let the next reply take its time, no more, if one is expected."""
        if self._limit is not None:
            now_s = asyncio.get_running_loop().time()
            self._limit.reschedule(now_s + self._reply_timeout_s if self._expected else None)
