"""Checks rows: digests, checksums, the chain of each run, numbers without a gap."""

from __future__ import annotations

from eventstore.archive.chain import digest_of, next_link
from eventstore.archive.checks.findings import Finding, Findings, Holes, What
from eventstore.archive.checks.history import History, Link, Row
from eventstore.archive.entry import OF_ANOTHER_KIND
from eventstore.decoding import verify_checksum

MAX_CACHED_RUNS = 50_000

Heads = dict[str, tuple[int, bytes]]


class RowCheck:
    """Checks rows in log order, and names what is wrong. It holds a bounded part of the chains."""

    def __init__(self, history: History, findings: Findings, holes: Holes) -> None:
        self._history = history
        self._findings = findings
        self._holes = holes
        self._links: dict[str, Link] = {}
        self.events = 0
        self.erased = 0

    def forget(self) -> None:
        """Forget the chains: they went back."""
        self._links.clear()

    def range(self, partition: int, after_n: int, up_to_n: int, seal: int) -> tuple[int, Heads]:
        """Check the entries between two numbers; give how many there are and the runs' chains."""
        heads: Heads = {}
        count, expected = 0, after_n + 1
        for row in self._history.rows(partition, after_n, up_to_n, seal):
            n = row.position.n
            if n > expected:
                self._holes.add(partition, expected, n - 1)
            expected = n + 1
            count += 1
            self._check(row, seal)
            if row.run_id is not None and row.is_sound:
                heads[row.run_id] = (row.version, row.chain)
        if expected <= up_to_n:
            self._holes.add(partition, expected, up_to_n)
        self.events += count
        return count, heads

    def _check(self, row: Row, seal: int) -> None:
        if row.run_id is None:
            self._found(row, "changed", "the row of its run is gone")
            return
        if not row.is_sound:
            self._found(row, "changed", OF_ANOTHER_KIND)
            return
        self._check_content(row, row.run_id)
        self._check_link(row, row.run_id, seal)

    def _check_content(self, row: Row, run_id: str) -> None:
        if row.event is None and self._history.is_deleted(run_id, row):
            self.erased += 1
        elif row.event is None:
            detail = "its content is gone, and no deletion of its run explains it"
            self._found(row, "removed", detail)
        elif digest_of(row.event) != row.digest:
            self._found(row, "changed", "its content is not what was archived")
        elif not _checksum_fits(row, run_id, row.event):
            self._found(row, "changed", "its checksum does not fit")

    def _check_link(self, row: Row, run_id: str, seal: int) -> None:
        before = self._links.get(run_id)
        if before is None or before.version != row.version - 1:
            before = self._history.link_before(run_id, row.version, seal)
        if len(self._links) >= MAX_CACHED_RUNS:
            self._links.clear()
        n = row.position.n
        self._links[run_id] = Link(row.version, n, row.chain)
        if before.version != row.version - 1:
            self._missing(row, run_id, before)
            return
        if before.n >= n:
            self._found(row, "moved", "it stands before an earlier version of its run")
        made = isinstance(before.chain, bytes) and next_link(
            before.chain, row.digest, row.version, row.position, row.append_id, row.workflow_id
        )
        if made != row.chain:
            self._found(row, "changed", "the chain of its run does not lead here")

    def _missing(self, row: Row, run_id: str, before: Link) -> None:
        partition, n = row.position.partition, row.position.n
        for version in range(before.version + 1, row.version):
            if self._findings.are_full:
                self._findings.count += row.version - version
                return
            place = self._holes.claim(partition, before.n, n)
            self._findings.add(Finding("removed", "it is not there", run_id, version, place))

    def _found(self, row: Row, what: What, detail: str) -> None:
        run_id = row.run_id if isinstance(row.run_id, str) else None
        version = row.version if isinstance(row.version, int) else None
        self._findings.add(Finding(what, detail, run_id, version, str(row.position)))


def _checksum_fits(row: Row, run_id: str, event: bytes) -> bool:
    rest = [] if row.workflow_id is None else [b"w", row.workflow_id.encode()]
    try:
        verify_checksum(
            row.checksum.encode(),
            run_id.encode(),
            row.append_id.encode(),
            event,
            row.version,
            row.position,
            rest,
        )
    except ValueError:
        return False
    return True
