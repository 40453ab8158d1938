"""One run's events on their way to the handler, in the order of their versions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventstore.events import RecordedEvent

if TYPE_CHECKING:
    from eventstore.groups.hand.holding import Holding


@dataclass(slots=True, eq=False)
class Lane:
    """The events of one run that wait; the first one is handled, then the next.

    A lane keeps a bounded number of events in memory. Of what comes behind them it only knows
    the versions, ``left_out``; they are read from the run again when their turn comes. So a run
    that waits, or is slow, takes no memory from the others.
    """

    holding: Holding
    run_id: str
    events: deque[RecordedEvent] = field(default_factory=deque)
    left_out: range = range(0)
    """Versions that follow ``events`` and are not in memory."""
    suspects: int = 0
    """How many of the events may have killed the member that had them before."""
    redriven: int | None = None
    """For events that were set aside and are handled now by request: how many attempts at the
    first of them were begun before."""
    failed_first_ms: int | None = None
    """When the first event failed first, in ms since 1970; None if it has not."""

    def add(self, event: RecordedEvent, most: int) -> bool:
        """Put an event behind the others; False if only its version was kept."""
        if not self.left_out and len(self.events) < most:
            self.events.append(event)
            return True
        start = self.left_out.start if self.left_out else event.version
        self.left_out = range(start, event.version + 1)
        return False

    @property
    def is_redriven(self) -> bool:
        """Whether these events were set aside before."""
        return self.redriven is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to be handled."""
        return not self.events and not self.left_out
