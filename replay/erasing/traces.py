"""Shows where anything is left of a deleted run, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventstore.archive.erasing import Deletion, Erasure, find_erasure
from eventstore.retention import Trimmer
from replay.erasing.places import Places


@dataclass(frozen=True, slots=True)
class Trace:
    """A place, how much is left there, and what removes it or holds it back."""

    place: str
    left: int
    detail: str


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a run. ``deleted_at_version`` is None for one that is not deleted."""

    run_id: str
    deleted_at_version: int | None
    erasure: Erasure | None
    traces: tuple[Trace, ...]

    @property
    def is_gone(self) -> bool:
        """Whether the run was deleted, and nothing of its content is left anywhere."""
        return self.deleted_at_version is not None and not any(one.left for one in self.traces)


def remains(places: Places, run_id: str) -> Remains:
    """Look everywhere for what is left of a run. Raises ``RunNotFound``; nothing is changed."""
    deletion = places.deletion(run_id)
    found = list(content(places, deletion or Deletion(run_id, 2**62)))
    erasure = None
    if places.archive is not None:
        with places.archive.database.snapshot() as tx:
            erasure = find_erasure(tx, run_id)
    forks = places.forks(run_id)
    told = f"runs of their own, with copies of its events; delete {', '.join(forks)}"
    found.append(Trace("forks", len(forks), told if forks else ""))
    is_wiped = erasure is not None and erasure.wiped_ms is not None
    wiping = "'runstore delete --wipe' removes what unused space and the server's files show"
    found.append(Trace("unused space", int(not is_wiped), "" if is_wiped else wiping))
    return Remains(run_id, deletion.version if deletion else None, erasure, tuple(found))


def content(places: Places, deletion: Deletion) -> Iterator[Trace]:
    """Say of each place how much it holds."""
    run_id = deletion.run_id
    cold = "archive and trim: 'runstore archive run', 'runstore trim'"
    counts = (
        ("run stream", places.in_stream(run_id), cold),
        ("head", places.in_head(run_id), cold),
        ("errors of groups", places.in_errors(run_id), "delete the run once more"),
        ("archive", places.in_archive(deletion), "'runstore archive run' erases it"),
        ("projections", places.in_database(run_id), "'runstore project run' removes them"),
        ("snapshots", places.in_snapshots(run_id), "'runstore delete --wipe' removes them"),
    )
    for place, left, detail in counts:
        yield Trace(place, left, detail if left else "")
    in_log = places.in_log(run_id)
    yield Trace("log", in_log, _held(places, run_id) if in_log else "")
    copies = places.copies()
    told = f"remove {', '.join(map(str, copies))}" if copies else ""
    yield Trace("copies", len(copies), told)


def _held(places: Places, run_id: str) -> str:
    """Say what holds entries back in the run's log."""
    if places.archive is None:
        return "nothing leaves the log without an archive"
    store = places.store
    partition = store.operations.keys.partition_of(run_id)
    report = Trimmer(store, places.archive.path, dry_run=True).run_once()
    of_log = report.partitions[partition]
    if of_log.held_by is None:
        return "'runstore trim' removes them"
    return str(of_log.held_by)
