"""What an audit found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from eventstore.archive.checks.findings import Finding
from eventstore.events import Position
from projections import Difference

Part = Literal["archive", "log", "run", "projection"]
"""Where it was found: the archive, the log in Redis, a run's own stream and head there, or the
rows of a projection."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is not as it was written: where, what, and how that shows.

    ``what`` is ``changed``, ``removed``, ``added``, ``moved``, ``forged`` or ``differs``. An
    event is named by its run and version, or by its position where those are not known;
    ``table`` and ``key`` name a row.
    """

    part: Part
    what: str
    detail: str
    run_id: str | None = None
    version: int | None = None
    position: str | None = None
    seal: int | None = None
    table: str | None = None
    key: dict[str, Any] | None = None

    @classmethod
    def of_archive(cls, found: Finding) -> Self:
        """Take one of an archive's verification."""
        place = (found.run_id, found.version, found.position, found.seal)
        return cls("archive", found.what, found.detail, *place)

    @classmethod
    def of_row(cls, projection: str, found: Difference) -> Self:
        """Take one of a projection's verification."""
        where = f"column {found.column}" if found.column else "the row"
        detail = (
            f"{projection}: {where} is {found.live!r:.200}, rebuilt it is {found.rebuilt!r:.200}"
        )
        run_id, version = found.key.get("run_id"), found.key.get("version")
        return cls(
            *("projection", "differs", detail, run_id, version),
            table=found.table,
            key=found.key,
        )

    def __str__(self) -> str:
        run = f"version {self.version or '?'} of run {self.run_id!r}" if self.run_id else ""
        place = f"at {self.position}" if self.position else ""
        seal = f"seal {self.seal}" if self.seal else ""
        row = f"in table {self.table}" if self.table else ""
        named = " ".join(filter(None, (self.part, run, place, seal, row)))
        return f"{named}: {self.what}, {self.detail}"


@dataclass(slots=True)
class Found:
    """Collects findings; beyond ``limit`` they are only counted."""

    limit: int
    kept: list[AuditFinding] = field(default_factory=list)
    count: int = 0

    def add(self, finding: AuditFinding) -> None:
        """Take one more."""
        self.count += 1
        if len(self.kept) < self.limit:
            self.kept.append(finding)

    def add_all(self, findings: Iterable[AuditFinding], count: int) -> None:
        """Take the first ones of so many."""
        before = self.count
        for finding in findings:
            self.add(finding)
        self.count = before + count

    def log(self, what: str, detail: str, at: Position | str, *run: Any) -> None:
        """Take one of a log."""
        run_id, version = run or (None, None)
        self.add(AuditFinding("log", what, detail, run_id, version, str(at)))

    def run(self, what: str, detail: str, run_id: str, version: int) -> None:
        """Take one of a run's own stream or head."""
        self.add(AuditFinding("run", what, detail, run_id, version))
