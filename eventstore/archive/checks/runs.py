"""Checks what the archive keeps of runs and partitions against the events themselves."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from eventstore.archive.archive import Archive
from eventstore.archive.checks.findings import Finding, Findings, Holes
from eventstore.archive.layout import PARTITION_PLACES, position_at
from eventstore.archive.reached import load_reached
from eventstore.archive.seals import Seal, last_seal
from eventstore.events import DELETED, ENDS, Position
from eventstore.keys import Keys

Reached = Mapping[int, Position]

_PAGE_RUNS = 1_000
_ANY_PARTITION = 2**15
_ANY_RUN = 2**62
_FILE_FINDINGS = 20
# Text counts as more than any number; of the content only the type is read.
_RUNS = f"""
SELECT r.id, r.run_id, r.version, r.chain, r.state, e.version, e.place, e.chain,
    CASE WHEN json_valid(CAST(e.event AS TEXT))
         THEN json_extract(CAST(e.event AS TEXT), '$.type') END,
    r.workflow_id IS NOT coalesce(b.workflow_id, CASE WHEN json_valid(CAST(b.event AS TEXT))
         THEN json_extract(CAST(b.event AS TEXT), '$.workflow_id') END, r.workflow_id),
    x.version IS NOT NULL AND x.version IS NOT r.version AND NOT EXISTS
        (SELECT 1 FROM lost_events WHERE run_id = r.run_id),
    x.version IS NULL AND r.state = 'deleted' AND EXISTS
        (SELECT 1 FROM events WHERE run = r.id AND event IS NULL)
FROM runs AS r LEFT JOIN erasures AS x ON x.run_id = r.run_id
LEFT JOIN events AS b ON b.run = r.id AND b.version = 1
LEFT JOIN events AS e ON e.run = r.id
    AND e.version = (SELECT max(version) FROM events WHERE run = r.id AND version < {2**62})
WHERE r.id > ? ORDER BY r.id LIMIT ?
"""
_BEYOND = """
SELECT e.place, e.ms, r.run_id, e.version FROM events AS e LEFT JOIN runs AS r ON r.id = e.run
WHERE e.place > ? AND e.place < ? ORDER BY e.place LIMIT ?
"""


class RunEnd(NamedTuple):
    """What is kept of a run, and of its last event."""

    number: int
    run_id: Any
    version: Any
    chain: Any
    state: Any
    last: Any
    place: int | None
    last_chain: Any
    kind: Any
    has_other_workflow: int
    is_erased_elsewhere: int
    is_erasure_gone: int


def check_runs(archive: Archive, findings: Findings, holes: Holes) -> int:
    """Check the end of each run, where no later event tells; give how many there are."""
    keys = Keys(archive.binding.namespace, archive.binding.partitions)
    checked, after = 0, -_ANY_RUN
    while True:
        with archive.database.snapshot() as tx:
            page = [RunEnd(*row) for row in tx.execute(_RUNS, (after, _PAGE_RUNS))]
        for run in page:
            _check_run(run, keys, findings, holes)
        checked += len(page)
        if len(page) < _PAGE_RUNS:
            return checked
        after = page[-1].number


def check_file(archive: Archive, findings: Findings) -> None:
    """Check how the file is built: an index without an entry hides what its table holds."""
    with archive.database.snapshot() as tx:
        rows = tx.execute(f"PRAGMA integrity_check({_FILE_FINDINGS})")
    for (found,) in rows:
        if found != "ok":
            findings.add(Finding("changed", f"the file is damaged: {' '.join(found.split())}"))


def check_binding(archive: Archive, origin: str, *, has_losses: bool, findings: Findings) -> None:
    """Check which store the archive names, against what its first seal is bound to.

    With a loss that was accepted it may have been given to another store.
    """
    found = archive.binding
    made = origin.split(" ")  # an older one names the store alone
    named = [found.store_id, found.namespace, str(found.partitions)][: len(made)]
    if has_losses:
        made[0] = named[0]
    if made != named:
        detail = f"the archive says that it belongs to {named}, and was made for {made}"
        findings.add(Finding("changed", detail))


def _check_run(run: RunEnd, keys: Keys, findings: Findings, holes: Holes) -> None:
    if (type(run.run_id), type(run.version)) != (str, int):
        name = run.run_id if isinstance(run.run_id, str) else None
        findings.add(Finding("changed", "what is kept of its run is of another kind", name))
        return
    partition, last = keys.partition_of(run.run_id), int(run.last or 0)
    n = 0 if run.place is None else run.place % PARTITION_PLACES
    for missing in range(last + 1, run.version + 1):
        if findings.are_full:
            findings.count += run.version + 1 - missing
            break
        where = holes.claim(partition, n, PARTITION_PLACES)
        findings.add(Finding("removed", "it is not there", run.run_id, missing, where))
    detail = None
    if last > run.version:
        findings.add(Finding("added", "its run ended before it", run.run_id, last))
    elif not last:
        detail = "nothing is archived of its run" if not run.version else None
    elif last == run.version:
        detail = _wrong_end(run)
    if detail:
        findings.add(Finding("changed", detail, run.run_id, last or None))


def _wrong_end(run: RunEnd) -> str | None:
    state = "closed" if run.kind in ENDS else "deleted" if run.kind == DELETED else "open"
    if run.chain != run.last_chain:
        return "the chain of its run does not end here"
    if run.kind is not None and run.state != state:
        return f"its run counts as {run.state!r}, and is {state}"
    if run.has_other_workflow:
        return "its run counts to another workflow"
    if run.is_erased_elsewhere or run.is_erasure_gone:
        return "what is noted of its run's erasure is not what was archived"
    return None


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
        for begin, until in pairwise([*begins, (_ANY_PARTITION, 0)]):
            bounds = (begin[0] * PARTITION_PLACES + begin[1], until[0] * PARTITION_PLACES)
            for place, ms, run_id, version in tx.execute(_BEYOND, (*bounds, findings.limit)):
                where = str(position_at(place, ms))
                findings.add(Finding("added", "no seal covers it", run_id, version, where))
    return True
