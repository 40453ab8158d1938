"""How many events a batch takes: as many as fit into the time that readers may lag behind."""

from __future__ import annotations

MIN_BATCH_EVENTS = 50


class Pace:
    """Adapts the size of batches to how long they take.

    A batch that took longer than ``batch_ms`` makes the next ones smaller, full ones that took
    less than half of it larger, never more than ``batch_events``. So rows and their positions
    become visible after about ``batch_ms``, whatever the events cost.
    """

    def __init__(self, batch_events: int, batch_ms: int) -> None:
        self.size = self._most = batch_events
        self._least = min(MIN_BATCH_EVENTS, batch_events)
        self._batch_s = batch_ms / 1_000

    def note(self, events: int, seconds: float) -> None:
        """Learn from a batch."""
        if seconds > self._batch_s:
            fitting = int(events * self._batch_s / seconds)
            self.size = min(self.size, max(self._least, fitting))
        elif events >= self.size and seconds < self._batch_s / 2:
            self.size = min(self._most, 2 * self.size)
