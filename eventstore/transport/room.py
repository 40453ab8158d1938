"""How many appends of a store may be on their way at a time."""

from __future__ import annotations

import asyncio
from collections import deque


class Room:
    """Places that are taken and given back; where none is free, one waits for its turn.

    The same as ``asyncio.Semaphore``, whose ``acquire`` takes two coroutines and a generator even
    where there is room: a twentieth of an append's processor time.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place, if one is free."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait for a place after all who wait already, and take it."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came at the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        """Pass a place on to the one who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
