"""What restorers did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from replay.decision import Decision
from replay.expiry import Effect, Handover


@dataclass(slots=True)
class RestoreCounts:
    """What restorers did: ``due`` timers taken, and what became of them.

    ``conflicts`` counts timers whose pause somebody else had ended first; ``handovers_failed``
    the workers' callbacks that raised (their runs are handed over again); ``errors`` the timers
    that could not be dealt with (they are due again when their lease ends).
    """

    due: int = 0
    restored: int = 0
    parked: int = 0
    failed: int = 0
    aborted: int = 0
    conflicts: int = 0
    handovers_failed: int = 0
    errors: int = 0

    def count(self, effect: Effect) -> None:
        """Count what a timer led to."""
        names = {
            Decision.PARK: "parked",
            Decision.FAIL: "failed",
            Decision.ABORT: "aborted",
            None: "conflicts",
        }
        name = "restored" if isinstance(effect, Handover) else names.get(effect)
        if name:
            setattr(self, name, getattr(self, name) + 1)

    def add(self, other: RestoreCounts) -> None:
        """Add the counts of another round."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
