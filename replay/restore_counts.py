"""What restorers did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from replay.decision import Decision
from replay.expiry import Effect, Ended, Handover
from replay.lateness import Lateness

_ENDS = {
    Decision.PARK: "parked",
    Decision.FAIL: "failed",
    Decision.ABORT: "aborted",
    Decision.TIME_OUT: "timed_out",
}


@dataclass(slots=True)
class RestoreCounts:
    """What restorers did: ``scanned`` timers were taken, ``due`` of them were over.

    ``conflicts`` counts timers whose pause somebody else had ended first; ``handovers_failed``
    the workers' callbacks that raised or came too late (their runs are handed over again);
    ``errors`` the timers that could not be dealt with (they are due again when their lease ends).
    ``lateness`` tells how long after their deadlines windows took their effect.
    """

    scanned: int = 0
    due: int = 0
    restored: int = 0
    parked: int = 0
    failed: int = 0
    aborted: int = 0
    timed_out: int = 0
    conflicts: int = 0
    handovers_failed: int = 0
    errors: int = 0
    lateness: Lateness = field(default_factory=Lateness)

    def count(self, effect: Effect) -> None:
        """Count what a timer led to."""
        if effect is Decision.WAIT:
            return
        self.due += 1
        if effect is None:
            self.conflicts += 1
        elif isinstance(effect, Handover):
            self.restored += 1
        elif isinstance(effect, Ended):
            name = _ENDS[effect.decision]
            setattr(self, name, getattr(self, name) + 1)
        if isinstance(effect, (Ended, Handover)) and effect.late_ms is not None:
            self.lateness.note(effect.late_ms)

    def error(self) -> None:
        """Count a timer that could not be dealt with."""
        self.due += 1
        self.errors += 1

    def handed(self, *, is_taken: bool) -> None:
        """Count whether a worker took a run."""
        self.handovers_failed += not is_taken

    def add(self, other: RestoreCounts) -> None:
        """Add the counts of another round."""
        for each in fields(self)[:-1]:
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.lateness.add(other.lateness)

    @property
    def numbers(self) -> dict[str, int]:
        """The counts by name, without the lateness."""
        return {each.name: getattr(self, each.name) for each in fields(self)[:-1]}

    def __str__(self) -> str:
        told = [f"{number:,} {name.replace('_', ' ')}" for name, number in self.numbers.items()]
        return ", ".join([*told, str(self.lateness)])
