"""Runs that workers took, until that is noted."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore.clock import monotonic
from eventstore.timers import DueTimer

SETTLE_RUNS = 32
SETTLE_S = 0.05
"""So many runs may workers have taken, and so long ago, before that is noted: whoever dies before
leaves them to be handed on once more."""


class Taken:
    """The timers of runs that workers took, until that is noted in the store."""

    def __init__(self, handover_ms: int) -> None:
        self._within_s = min(SETTLE_S, handover_ms / 4_000)
        self._timers: list[DueTimer] = []
        self._since_s = 0.0

    def add(self, timer: DueTimer) -> bool:
        """Add one, and say whether it is time to note them."""
        now_s = monotonic()
        if not self._timers:
            self._since_s = now_s
        self._timers.append(timer)
        return len(self._timers) >= SETTLE_RUNS or now_s - self._since_s > self._within_s

    def take(self) -> list[DueTimer]:
        """Take all of them out."""
        timers, self._timers = self._timers, []
        return timers

    def put_back(self, timers: Sequence[DueTimer]) -> None:
        """Let them wait again, the store having been out of reach."""
        self._timers += timers
