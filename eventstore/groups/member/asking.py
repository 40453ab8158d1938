"""The calls of workers: a server that is away, or short of memory, is asked again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from eventstore.commands import Command
from eventstore.errors import ServerRefused, StoreUnavailable
from eventstore.groups.hand.holding import Holding
from eventstore.plan import single

if TYPE_CHECKING:
    from eventstore.store import EventStore

T = TypeVar("T")
_log = logging.getLogger(__name__)
_PAUSE_S = 0.5


class Asking:
    """Asks until there is an answer, or the partition is somebody else's."""

    def __init__(self, store: EventStore) -> None:
        self.store = store

    async def command(self, holding: Holding, command: Command[T]) -> T | None:
        """Have a call done; None if the partition was lost."""
        return await self.until_done([holding], lambda: self.store.perform(single(command)))

    async def until_done(
        self, holdings: Sequence[Holding], call: Callable[[], Awaitable[T]]
    ) -> T | None:
        """Give what a call gives; None if all its partitions were lost meanwhile.

        Raises all but ``StoreUnavailable`` and the refusals of a server without memory.
        """
        while not all(holding.is_lost for holding in holdings):
            try:
                return await call()
            except (ServerRefused, StoreUnavailable) as error:
                if not will_pass(error):
                    raise
                _log.warning("%s: %s; trying again", holdings[0].hold, error)
                await asyncio.sleep(_PAUSE_S)
        return None


def will_pass(error: ServerRefused | StoreUnavailable) -> bool:
    """Say whether to ask again: the server is away, or has no memory or disk to write with."""
    reply = str(getattr(error, "reply", ""))
    return isinstance(error, StoreUnavailable) or "OOM" in reply or "MISCONF" in reply
