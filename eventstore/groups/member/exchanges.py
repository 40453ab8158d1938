"""A member's exchanges with the server, one at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from eventstore.groups.hand.hand import Hand
from eventstore.groups.hand.intake import Intake

if TYPE_CHECKING:
    from eventstore.store import EventStore


class Exchanges:
    """Takes events and acknowledges them: whoever asks waits until the one before is over."""

    def __init__(self, store: EventStore, intake: Intake, hand: Hand) -> None:
        self._store = store
        self._intake = intake
        self._hand = hand
        self._turn = asyncio.Lock()

    async def take(self, *, check_end: bool) -> int:
        """Acknowledge what is through and take what comes next; give how many events came.

        While there are events that must be handled alone, nothing new is taken.
        """
        async with self._turn:
            fresh = not self._hand.has_suspects
            return await self._store.perform(self._intake.take(fresh=fresh, check_end=check_end))

    async def acknowledge(self) -> bool:
        """Acknowledge what is through; say whether there was anything."""
        async with self._turn:
            holdings = [h for h in self._hand.holdings.values() if h.has_news]
            if holdings:
                await self._store.perform(self._intake.acknowledge(holdings))
            return bool(holdings)
