"""What reconcilers did, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from replay.expiry import Effect, Handover
from replay.lateness import Lateness


@dataclass(slots=True)
class RecoveryCounts:
    """What reconcilers did: they took ``scanned`` deadlines, and ``stalled`` runs were silent.

    ``recovered`` counts the runs that a worker took; ``failed`` those whose worker could not be
    reached (handed on again later), and deadlines that could not be dealt with. ``lateness``
    tells how long after their deadlines stalled runs were recovered.
    """

    scanned: int = 0
    stalled: int = 0
    recovered: int = 0
    failed: int = 0
    lateness: Lateness = field(default_factory=Lateness)

    def count(self, effect: Effect) -> None:
        """Count what a deadline led to."""
        if isinstance(effect, Handover) and effect.late_ms is not None:
            self.stalled += 1
            self.lateness.note(effect.late_ms)

    def error(self) -> None:
        """Count a deadline that could not be dealt with."""
        self.failed += 1

    def handed(self, *, is_taken: bool) -> None:
        """Count whether a worker took a run."""
        self.recovered += is_taken
        self.failed += not is_taken

    def add(self, other: RecoveryCounts) -> None:
        """Add the counts of another round."""
        for each in fields(self)[:-1]:
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.lateness.add(other.lateness)

    @property
    def numbers(self) -> dict[str, int]:
        """The counts by name, without the lateness."""
        return {each.name: getattr(self, each.name) for each in fields(self)[:-1]}

    def __str__(self) -> str:
        told = [f"{number:,} {name}" for name, number in self.numbers.items()]
        return ", ".join([*told, str(self.lateness)])
