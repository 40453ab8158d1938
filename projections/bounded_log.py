"""A log that ends where it is told to, while the real one grows."""

from __future__ import annotations

from collections.abc import Mapping

from eventstore.events import Position, RecordedEvent
from projections.feed import reached_all
from projections.log import Log


class BoundedLog:
    """Shows of a log what stands up to ``until``, and nothing of partitions not named there."""

    def __init__(self, store: Log, until: Mapping[int, Position]) -> None:
        self._store = store
        self.until = until

    @property
    def identity(self) -> str:
        """The store's own."""
        return self._store.identity

    def read_log(
        self,
        after: Mapping[int, Position],
        *,
        limit: int,
        block_ms: int | None = None,  # noqa: ARG002 - there is nothing to wait for
    ) -> list[RecordedEvent]:
        """Give events up to the bound."""
        while not reached_all(after, self.until):
            page = self._store.read_log(after, limit=limit)
            within = [event for event in page if self._has(event.position)]
            if within or not page:
                return within
            limit *= 2  # the page was full of what lies beyond
        return []

    def tails(self) -> Mapping[int, Position]:
        """Give where it ends."""
        return self.until

    def _has(self, place: Position) -> bool:
        end = self.until.get(place.partition)
        return end is not None and place.n <= end.n
