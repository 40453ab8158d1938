"""How long to go on trying, and how long to pause in between."""

from __future__ import annotations

from eventstore.clock import Monotonic, monotonic
from eventstore.settings import Settings


class Patience:
    """Counts one call's time: pauses double up to their bound, until the deadline."""

    def __init__(self, settings: Settings, now: Monotonic = monotonic) -> None:
        self._now = now
        self._pause_s = settings.retry_pause_ms / 1000
        self._most_s = settings.retry_pause_max_ms / 1000
        self._deadline_s = now() + settings.append_timeout_ms / 1000

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._now() >= self._deadline_s

    def next_pause_s(self) -> float:
        """Give the next pause in seconds."""
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, self._most_s)
        return pause_s
