"""Proves that log, runs, archive and projections are what was written, or names what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eventstore import CorruptEvent, HistoryGap, LogRegressed, StoreMismatch, SyncEventStore
from eventstore.archive import Archive, Verification
from eventstore.archive import verify as verify_archive
from eventstore.archive.binding import Binding
from projections import BUILT_IN, Database, Projection
from projections import verify as verify_rows
from projections.standing import load_standings
from replay.audit.findings import AuditFinding, Found
from replay.audit.logs import LogCheck
from replay.audit.runs import RunCheck

DEFAULT_MAX_FINDINGS = 1_000

OnProgress = Callable[[str, int], None]
"""Is told, now and then, what is checked, and how many events or runs were by now."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit checked, and what it found.

    ``findings`` holds the first ones, ``finding_count`` counts all. ``archive`` is the archive's
    own verification, None where there is none. ``events`` counts those of the log in Redis.
    ``unchecked`` says what could not be checked, and why.
    """

    events: int
    runs: int
    archive: Verification | None
    projections: tuple[str, ...]
    findings: tuple[AuditFinding, ...]
    finding_count: int
    unchecked: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 good; 1 findings; 2 something could not be checked."""
        if self.finding_count:
            return 1
        return 2 if self.unchecked else 0


def verify(
    store: SyncEventStore,
    archive: Archive | None = None,
    database: Database | None = None,
    *,
    key: bytes | None = None,
    expect: str | None = None,
    projections: Iterable[type[Projection] | Projection] = BUILT_IN,
    max_findings: int = DEFAULT_MAX_FINDINGS,
    on_progress: OnProgress | None = None,
) -> AuditReport:
    """Check everything that a store, its archive and its projections hold; nothing is changed.

    - The archive: every event, chain, number and seal, as ``eventstore.archive.verify`` does,
      with ``key`` and ``expect`` for it.
    - The log: each entry's checksum, its numbers without a gap up to the end, and that runs' own
      streams hold the same.
    - The runs: versions without a gap up to the head, and that Redis holds what the archive does.
    - Projections: that their rows are what the events make of them.

    Projections are made anew from what the store reads: open it with its archive. Everything is
    read in pages: memory does not grow with the store. What is appended meanwhile does no harm.
    Raises ``StoreUnavailable``, and ``InvalidArgument`` for a key or seal that is none.
    """
    audit = _Audit(store, Found(max_findings), on_progress or (lambda _part, _done: None))
    own = audit.archived(archive, key, expect)
    known = archive if own is not None else None
    runs = RunCheck(store, known, audit.found)
    log = LogCheck(store, known, audit.found, runs.check_new)
    for events in log.walk():
        audit.tell("log", events)
    for count in runs.walk():
        audit.tell("runs", count)
    checked = audit.projected(database, projections)
    return AuditReport(
        events=log.events,
        runs=runs.runs,
        archive=own,
        projections=tuple(checked),
        findings=tuple(audit.found.kept),
        finding_count=audit.found.count,
        unchecked=tuple(audit.unchecked),
    )


class _Audit:
    """The parts of an audit that others can do, and what came of them."""

    def __init__(self, store: SyncEventStore, found: Found, tell: OnProgress) -> None:
        self._store = store
        self.found = found
        self.tell = tell
        self.unchecked: list[str] = []

    def archived(
        self, archive: Archive | None, key: bytes | None, expect: str | None
    ) -> Verification | None:
        """Verify the archive; None where there is none of this store, or it cannot be read."""
        if archive is None:
            return None
        try:
            Binding.of(self._store.identity, self._store.operations.keys).check(archive.database)
        except StoreMismatch as mismatch:
            self.unchecked.append(str(mismatch))
            return None
        try:
            own = verify_archive(
                archive,
                key=key,
                store=self._store,
                expect=expect,
                max_findings=self.found.limit,
                on_progress=lambda events: self.tell("archive", events),
            )
        except StoreMismatch as damaged:
            self.found.add(AuditFinding("archive", "changed", str(damaged)))
            return None
        self.found.add_all(map(AuditFinding.of_archive, own.findings), own.finding_count)
        if own.signatures in ("key missing", "wrong key", "not signed"):
            self.unchecked.append(f"the signatures of the archive's seals: {own.signatures}")
        return own

    def projected(
        self, database: Database | None, projections: Iterable[type[Projection] | Projection]
    ) -> list[str]:
        """Verify projections, one after the other; give the names of those that could be."""
        checked: list[str] = []
        if database is None or not self._is_ours(database):
            return checked
        for projection in projections:
            name = projection.name
            if not _has(database, name):
                self.unchecked.append(f"projection {name}: the database has no rows of it yet")
                continue
            if self._is_ahead(database, name):
                continue
            try:
                own = verify_rows(
                    self._store,
                    database,
                    [name],
                    [projection],
                    max_differences=self.found.limit,
                    on_progress=lambda at, name=name: self.tell(name, at.events),  # type: ignore[misc]
                )
            except (CorruptEvent, HistoryGap, LogRegressed, StoreMismatch) as error:
                self.unchecked.append(f"projection {name}: {error}")
                continue
            rows = [AuditFinding.of_row(name, one) for one in own.differences]
            self.found.add_all(rows, own.found)
            checked.append(name)
        return checked

    def _is_ahead(self, database: Database, name: str) -> bool:
        """Tell of a projection whose rows were made of events that are gone."""
        with database.snapshot() as tx:
            standing = load_standings(tx).get(name)
        tails = self._store.tails()
        gone = [
            at
            for at in (standing.positions.values() if standing else ())
            if at.partition in tails and at.n > tails[at.partition].n
        ]
        for at in gone:
            detail = f"{name} was made of events up to here, the log ends at {tails[at.partition]}"
            self.found.add(AuditFinding("projection", "removed", detail, position=str(at)))
        return bool(gone)

    def _is_ours(self, database: Database) -> bool:
        with database.snapshot() as tx:
            found = tx.execute("SELECT value FROM meta WHERE name = 'store'")
        if not found or found[0][0] == self._store.identity:
            return True
        self.unchecked.append(f"database {database.path} was made from another store")
        return False


def _has(database: Database, name: str) -> bool:
    with database.snapshot() as tx:
        return name in load_standings(tx)
