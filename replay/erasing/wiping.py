"""Removes what no deletion reaches: bytes that memory and files keep of what was removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventstore.archive import Archive
from eventstore.archive.erasing import Deletion, note_wiped, unwiped
from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import InvalidArgument
from eventstore.plan import single
from eventstore.retention.commands import group_names, scrub
from replay.erasing.places import Places
from replay.erasing.server_files import rewrite_server_files
from replay.erasing.traces import content

MAX_SCRUB_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Wiped:
    """``runs`` have no trace left; ``waiting`` are deleted runs that still have content somewhere.

    ``hindered`` says what could not be done: then no run counts as wiped.
    """

    runs: int
    waiting: int
    hindered: tuple[str, ...]


def wipe(places: Places, *, clock: Clock = system_clock) -> Wiped:
    """Write anew what still shows bytes of deleted runs.

    That is: the logs' blocks in the server's memory, its append-only file and its snapshot, and
    the files of archive, projections and time travel. It does not reach copies that somebody
    made, replicas' files, nor what a disk keeps of files that are gone.

    The archive notes which deleted runs have nothing left by then. Run it as often as you like;
    killed anywhere, run it again. Raises ``InvalidArgument`` where nothing is archived.
    """
    if places.archive is None:
        raise InvalidArgument(
            "without an archive nothing of a run ever leaves Redis; archive first"
        )
    clean, waiting = _sorted_out(places, places.archive)
    hindered = list(_rewritten(places, places.archive))
    if not hindered:
        note_wiped(places.archive, clean, to_ms(clock()))
    return Wiped(0 if hindered else len(clean), waiting, tuple(hindered))


def _sorted_out(places: Places, archive: Archive) -> tuple[list[Deletion], int]:
    """Find the deleted runs whose content is nowhere any more; count the others."""
    clean, waiting = [], 0
    for page in unwiped(archive):
        for deletion in page:
            if places.snapshots is not None:
                places.snapshots.forget(places.store, deletion.run_id)
            if any(trace.left for trace in content(places, deletion)):
                waiting += 1
            else:
                clean.append(deletion)
    return clean, waiting


def _rewritten(places: Places, archive: Archive) -> Iterator[str]:
    """Write everything anew; tells what could not be."""
    yield from _scrubbed(places)
    yield from rewrite_server_files(places.store)
    archive.database.rewrite()
    if not archive.database.settle():
        yield f"somebody reads the archive {archive.path}: try again"
    if places.database is not None:
        places.database.rewrite()
        if not places.database.settle():
            yield f"somebody reads the database {places.database.path}: try again"
    if places.snapshots is not None and not places.snapshots.rewrite():
        yield "somebody reads the snapshots of time travel: try again"


def _scrubbed(places: Places) -> Iterator[str]:
    """Write the logs and the lists of errors anew in the server's memory."""
    store = places.store
    keys = store.operations.keys
    groups = store.perform(single(group_names(keys)))
    for partition in range(keys.partitions):
        for stream in (keys.log(partition), *(keys.dead(partition, group) for group in groups)):
            if not store.perform(single(scrub(stream, MAX_SCRUB_ENTRIES))):
                yield (
                    f"{stream} has more than {MAX_SCRUB_ENTRIES:,} entries, or ones that a group "
                    "works on: trim, and try again"
                )
