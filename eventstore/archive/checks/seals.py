"""Checks seals: their order, their hashes, their signatures, and what they say of the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from eventstore.archive.archive import Archive
from eventstore.archive.checks.findings import Finding, Findings
from eventstore.archive.checks.rows import Heads, RowCheck
from eventstore.archive.layout import position_at
from eventstore.archive.seals import (
    FINGERPRINT_BYTES,
    Seal,
    first_hash,
    seals_after,
    sum_of,
)
from eventstore.errors import InvalidArgument
from eventstore.events import Position

Signatures = Literal["good", "unsigned", "not signed", "key missing", "wrong key"]
"""``not signed``: a key was given to check with, and no seal is signed."""

_LABEL = re.compile(r"([1-9]\d{0,14}):[0-9a-f]{64}")
_PAGE_SEALS = 200
_PAGE_ROWS = 1_000
_LOST = """
SELECT run_id, version, place, chain FROM lost_events
WHERE seal = ? AND (run_id, version, place) > (?, ?, ?) ORDER BY run_id, version, place LIMIT ?
"""
_NOT_ACCEPTED = """
SELECT run_id, version, place, ms FROM lost_events
WHERE seal NOT IN (SELECT sequence FROM seals WHERE kind = 'accepted') LIMIT ?
"""


class SealCheck:
    """Walks along the seals, and along the rows that each of them covers."""

    def __init__(
        self,
        archive: Archive,
        rows: RowCheck,
        findings: Findings,
        key: bytes | None,
        expect: str | None,
    ) -> None:
        self._archive = archive
        self._rows = rows
        self._findings = findings
        self._key = key
        self._expect, self._expected = expect, _number_of(expect)
        self.unsigned = 0
        self._signed = 0
        self._forged: list[int] = []
        self.origin = _origin(archive)
        self._previous = first_hash(self.origin)
        partitions = archive.binding.partitions
        self.reached = {p: Position(p, 0, 0) for p in range(partitions)}
        """Where the last seal that was walked past stands."""
        self.last: Seal | None = None
        self.count = 0
        self.has_losses = False
        """Whether something was accepted as lost."""

    def walk(self) -> Iterator[int]:
        """Check seal after seal, those since the last walk; gives the events checked by then."""
        for seal in self._further():
            expected = self.last.sequence + 1 if self.last else 1
            if seal.sequence > expected:
                last = seal.sequence - 1
                self._found("removed", expected, f"seals {expected} to {last} are gone")
            elif seal.previous != self._previous:
                self._found("forged", seal.sequence, "it does not follow the seal before it")
            self._check_itself(seal)
            self._check_rows(seal)
            self._previous, self.last = seal.hash, seal
            self.count += 1
            yield self._rows.events

    def finish(self) -> Signatures:
        """Say what became of the signatures, after the last walk; forged ones are findings."""
        self._check_set_aside()
        if self._expected:
            self._found("removed", self._expected, "it is expected, and the archive ends before it")
        if not self._signed:
            return "not signed" if self._key and self.unsigned else "unsigned"
        if self._key is None:
            return "key missing"
        if len(self._forged) == self._signed:
            return "wrong key"
        for sequence in self._forged:
            self._found("forged", sequence, "its signature was not made with the key")
        return "good"

    def _further(self) -> Iterator[Seal]:
        while True:
            sequence = self.last.sequence if self.last else 0
            with self._archive.database.snapshot() as tx:
                page = seals_after(tx, sequence, _PAGE_SEALS)
            yield from page
            if len(page) < _PAGE_SEALS:
                return

    def _check_itself(self, seal: Seal) -> None:
        if seal.sequence == self._expected:
            self._expected = 0
            if seal.label != self._expect:
                self._found("forged", seal.sequence, "it is not the one that is expected")
        if seal.computed_hash() != seal.hash:
            self._found("forged", seal.sequence, "its hash does not fit what it says")
        if seal.signature is None:
            self.unsigned += 1
            if self._signed:
                self._found("forged", seal.sequence, "it is not signed, and earlier ones are")
            return
        self._signed += 1
        if self._key is not None and not seal.is_signed_with(self._key):
            self._forged.append(seal.sequence)

    def _check_rows(self, seal: Seal) -> None:
        known = self._findings.count
        is_loss = seal.kind == "accepted"
        count, heads = self._lost(seal) if is_loss else self._archived(seal)
        self.reached.update(seal.positions)
        self.has_losses |= is_loss
        if is_loss and count != seal.events:
            detail = f"{count} events are set aside under it, and it counts {seal.events}"
            self._found("forged", seal.sequence, detail)
        # What was found in its rows explains what it says of them; holes are told in the end.
        if self._findings.count == known and count == seal.events:
            self._check_heads(seal, heads)

    def _archived(self, seal: Seal) -> tuple[int, Heads]:
        heads: Heads = {}
        count = covered = 0
        for partition, position in seal.positions.items():
            before = self.reached.get(partition, Position(partition, 0, 0))
            covered += position.n - before.n
            found, touched = self._rows.range(partition, before.n, position.n, seal.sequence)
            count += found
            heads |= touched
        if covered != seal.events:
            self._found("forged", seal.sequence, "it does not cover the entries that it counts")
        return count, heads

    def _lost(self, seal: Seal) -> tuple[int, Heads]:
        """Gather what was accepted as lost; the chains of its runs go back with it."""
        self._rows.forget()
        heads: Heads = {}
        count, after = 0, ("", 0, 0)
        while True:
            with self._archive.database.snapshot() as tx:
                rows = tx.execute(_LOST, (seal.sequence, *after, _PAGE_ROWS))
            heads |= {
                run_id: (version, chain)
                for run_id, version, _, chain in rows
                if (type(run_id), type(version), type(chain)) == (str, int, bytes)
            }
            count += len(rows)
            if len(rows) < _PAGE_ROWS:
                return count, heads
            after = rows[-1][:3]

    def _check_set_aside(self) -> None:
        """Name what stands among the accepted losses without having been accepted as lost."""
        limit = self._findings.limit
        with self._archive.database.snapshot() as tx:
            rows = tx.execute(_NOT_ACCEPTED, (limit,))
        for run_id, version, place, ms in rows:
            where = str(position_at(place, ms)) if isinstance(place, int) else None
            names = run_id if isinstance(run_id, str) else None, version
            detail = "it is set aside as lost, and nobody accepted that"
            self._findings.add(Finding("moved", detail, *names, position=where))

    def _check_heads(self, seal: Seal, heads: Heads) -> None:
        """Compare the chains with those that were sealed, and name the runs that differ."""
        digest, fingerprints = sum_of(heads)
        if digest == seal.heads:
            return
        sealed = set(_split(seal.fingerprints))
        marks = zip(sorted(heads), _split(fingerprints), strict=True)
        changed = [run_id for run_id, mark in marks if mark not in sealed]
        detail = "its chain was made anew: it is not the one that was sealed"
        for run_id in changed:
            version, _ = heads[run_id]
            self._findings.add(Finding("changed", detail, run_id, version, seal=seal.sequence))
        if not changed:
            self._found("forged", seal.sequence, "it does not fit the runs that it covers")

    def _found(self, what: Literal["removed", "forged"], seal: int, detail: str) -> None:
        self._findings.add(Finding(what, detail, seal=seal))


def _number_of(label: str | None) -> int:
    """Give the number of a seal from how people note it; 0 for none."""
    if label is None:
        return 0
    match = _LABEL.fullmatch(label)
    if not match:
        raise InvalidArgument(f"{label!r} is no seal; one looks like 17:9f86d0…, as status shows")
    return int(match[1])


def _origin(archive: Archive) -> str:
    with archive.database.snapshot() as tx:
        rows = tx.execute("SELECT value FROM facts WHERE name = 'origin'")
    return str(rows[0][0]) if rows else ""


def _split(fingerprints: bytes) -> list[bytes]:
    size = FINGERPRINT_BYTES
    return [fingerprints[at : at + size] for at in range(0, len(fingerprints), size)]
