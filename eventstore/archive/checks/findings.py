"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from eventstore.events import Position

What = Literal["changed", "removed", "added", "moved", "forged", "differs"]
"""Of an event: its content or what is kept of it was ``changed``; it was ``removed`` or ``added``;
it was ``moved`` to another place; Redis ``differs`` from the archive. Of a seal: ``removed``,
``forged``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: what, where, and how that shows."""

    what: What
    detail: str
    run_id: str | None = None
    version: int | None = None
    position: str | None = None
    """``partition:ms-n``; the milliseconds of an event that is gone are written as ``?``."""
    seal: int | None = None

    def __str__(self) -> str:
        run = f"version {self.version or '?'} of run {self.run_id!r}" if self.run_id else ""
        place = f"at {self.position}" if self.position else ""
        seal = f"seal {self.seal}" if self.seal and not run else ""
        return f"{' '.join(filter(None, (run or seal or 'an event', place)))}: {self.detail}"


@dataclass(slots=True)
class Findings:
    """Collects findings; beyond ``limit`` they are only counted."""

    limit: int
    kept: list[Finding] = field(default_factory=list)
    count: int = 0

    @property
    def are_full(self) -> bool:
        """Whether further ones are only counted."""
        return len(self.kept) >= self.limit

    def add(self, finding: Finding) -> None:
        """Take one more."""
        self.count += 1
        if not self.are_full:
            self.kept.append(finding)


@dataclass(slots=True)
class Holes:
    """Places of the log that no row stands at, until it is known whose they were."""

    limit: int
    _open: dict[int, list[int]] = field(default_factory=dict)
    overflow: int = 0

    def add(self, partition: int, first: int, last: int) -> None:
        """Note that entries ``first`` to ``last`` of a partition are not there."""
        holes = self._open.setdefault(partition, [])
        taken = max(0, min(last - first + 1, self.limit - len(holes)))
        holes.extend(range(first, first + taken))
        self.overflow += last - first + 1 - taken

    def claim(self, partition: int, after: int, before: int) -> str | None:
        """Take the first hole between two entries of a partition, and give its place."""
        holes = self._open.get(partition, [])
        for index, n in enumerate(holes):
            if after < n < before:
                del holes[index]
                return place_without_time(partition, n)
        return None

    def tell(self, findings: Findings) -> None:
        """Tell of the places that nobody claimed."""
        for partition, holes in self._open.items():
            for n in holes:
                place = place_without_time(partition, n)
                findings.add(Finding("removed", "no event is there", position=place))
        findings.count += self.overflow


def place_without_time(partition: int, n: int) -> str:
    """Write the place of an entry whose time is not known."""
    return str(Position(partition, 0, n)).replace(":0-", ":?-")
