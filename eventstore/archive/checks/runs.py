"""Checks what the archive keeps of runs and partitions against the events themselves."""

from __future__ import annotations

from collections.abc import Mapping

from eventstore.archive.archive import Archive, load_reached
from eventstore.archive.checks.findings import Finding, Findings, Holes
from eventstore.archive.layout import PARTITION_PLACES, position_at
from eventstore.archive.seals import Seal, last_seal
from eventstore.events import Position
from eventstore.keys import Keys

Reached = Mapping[int, Position]

_PAGE_RUNS = 1_000
_ANY_PARTITION = 2**15
_RUNS = """
SELECT r.id, r.run_id, r.version, r.chain, e.version, e.place, e.chain
FROM runs AS r LEFT JOIN events AS e ON e.run = r.id
    AND e.version = (SELECT max(version) FROM events WHERE run = r.id)
WHERE r.id > ? ORDER BY r.id LIMIT ?
"""
_BEYOND = """
SELECT e.place, e.ms, r.run_id, e.version FROM events AS e LEFT JOIN runs AS r ON r.id = e.run
WHERE e.place > ? AND e.place < ? ORDER BY e.place LIMIT ?
"""


def check_runs(archive: Archive, findings: Findings, holes: Holes) -> int:
    """Check the end of each run, where no later event tells; give how many there are."""
    keys = Keys(archive.binding.namespace, archive.binding.partitions)
    checked = after = 0
    while True:
        with archive.database.snapshot() as tx:
            page = tx.execute(_RUNS, (after, _PAGE_RUNS))
        for _, run_id, version, chain, last, place, last_chain in page:
            partition = keys.partition_of(run_id)
            n = 0 if place is None else place % PARTITION_PLACES
            for missing in range((last or 0) + 1, version + 1):
                if findings.are_full:
                    findings.count += version + 1 - missing
                    break
                where = holes.claim(partition, n, PARTITION_PLACES)
                findings.add(Finding("removed", "it is not there", run_id, missing, where))
            if last is not None and last > version:
                findings.add(Finding("added", "its run ended before it", run_id, last))
            elif last == version and chain != last_chain:
                findings.add(
                    Finding("changed", "the chain of its run does not end here", run_id, last)
                )
        checked += len(page)
        if len(page) < _PAGE_RUNS:
            return checked
        after = page[-1][0]


def check_reached(archive: Archive, last: Seal | None, sealed: Reached, findings: Findings) -> bool:
    """Check that the archive stands where its last seal says, with nothing behind that.

    Gives False, and checks nothing, if there are further seals by now.
    """
    partitions = archive.binding.partitions
    with archive.database.snapshot() as tx:
        newest = last_seal(tx)
        if newest and newest.sequence > (last.sequence if last else 0):
            return False
        reached = load_reached(tx, partitions)
        for partition, end in sealed.items():
            if reached.get(partition) != end:
                detail = f"the archive stands at {reached.get(partition)}, its seals at {end}"
                findings.add(Finding("removed", detail, position=str(end)))
        ends = sorted((end.partition, end.n) for end in sealed.values())
        begins = [(-_ANY_PARTITION, 0), *ends]
        for begin, until in zip(begins, [*range(partitions), _ANY_PARTITION], strict=True):
            bounds = (begin[0] * PARTITION_PLACES + begin[1], until * PARTITION_PLACES)
            for place, ms, run_id, version in tx.execute(_BEYOND, (*bounds, findings.limit)):
                where = str(position_at(place, ms))
                findings.add(Finding("added", "no seal covers it", run_id, version, where))
    return True
