"""Proves that an archive is what was archived, or names what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eventstore.archive.archive import Archive
from eventstore.archive.binding import Binding
from eventstore.archive.checks.findings import Finding, Findings, Holes
from eventstore.archive.checks.history import History
from eventstore.archive.checks.redis import compare
from eventstore.archive.checks.rows import RowCheck
from eventstore.archive.checks.runs import check_binding, check_file, check_reached, check_runs
from eventstore.archive.checks.seals import SealCheck, Signatures
from eventstore.archive.seal_key import check_seal_key
from eventstore.sync_store import SyncEventStore

DEFAULT_MAX_FINDINGS = 1_000

OnProgress = Callable[[int], None]
"""Is told, now and then, how many events were checked."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification checked, and what it found.

    ``findings`` holds the first ones, ``finding_count`` counts all. ``signatures``: ``good``;
    ``unsigned``, where no key was given and none was used; ``key missing``, ``wrong key`` or
    ``not signed``, where they could not be checked. ``compared`` counts the entries that Redis
    held too; None if it was not asked.
    """

    events: int
    runs: int
    seals: int
    last_seal: str | None
    signatures: Signatures
    compared: int | None
    findings: tuple[Finding, ...]
    finding_count: int
    erased: int = 0
    """How many events of deleted runs keep only their digests."""
    unsigned_seals: int = 0
    """How many seals have no signature; if others have, those from before signing began."""

    @property
    def exit_code(self) -> int:
        """0 good; 1 findings; 2 signatures that could not be checked."""
        if self.finding_count:
            return 1
        return 0 if self.signatures in ("good", "unsigned") else 2


def verify(
    archive: Archive,
    *,
    key: bytes | None = None,
    store: SyncEventStore | None = None,
    expect: str | None = None,
    max_findings: int = DEFAULT_MAX_FINDINGS,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Check every event, chain, number and seal of an archive; nothing is changed.

    Finds and names each event that was changed, removed, added or moved, and each seal that was
    removed or forged. With ``store`` it also compares what Redis holds of the same events.
    ``expect`` is a seal as ``status`` and ``Verification.last_seal`` show it, noted earlier and
    elsewhere: it shows whether the file was taken back to an older state, which it can't itself.
    Without a ``key`` only the hashes of seals are checked, which whoever may write the file can
    make anew. Reads in pages: memory does not grow with the archive. While an archiver runs, what
    it adds meanwhile is checked too. Raises ``StoreMismatch`` for the archive of another store,
    ``InvalidArgument`` for a key or seal that is none.
    """
    tell = on_progress or (lambda _: None)
    if store is not None:
        Binding.of(store.identity, store.operations.keys).check(archive.database)
    findings, holes = Findings(max_findings), Holes(max_findings)
    rows = RowCheck(History(archive), findings, holes)
    key = None if key is None else check_seal_key(key)
    check_file(archive, findings)
    seals = SealCheck(archive, rows, findings, key, expect)
    while True:
        for events in seals.walk():
            tell(events)
        if check_reached(archive, seals.last, seals.reached, findings):
            break
    check_binding(archive, seals.origin, has_losses=seals.has_losses, findings=findings)
    runs = check_runs(archive, findings, holes)
    holes.tell(findings)
    signatures = seals.finish()
    compared = None if store is None else compare(archive, store, findings)
    last = seals.last
    return Verification(
        events=rows.events,
        runs=runs,
        seals=seals.count,
        last_seal=last.label if last else None,
        signatures=signatures,
        compared=compared,
        findings=tuple(findings.kept),
        finding_count=findings.count,
        erased=rows.erased,
        unsigned_seals=seals.unsigned,
    )
