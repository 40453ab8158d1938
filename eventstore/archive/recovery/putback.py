"""Puts back what the server lost, from the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eventstore.archive.archive import Archive
from eventstore.archive.archiver import writer_lock
from eventstore.archive.binding import Binding
from eventstore.archive.commands import ask
from eventstore.archive.entry import Entry
from eventstore.archive.layout import place_of
from eventstore.archive.recovery import commands
from eventstore.archive.recovery.losses import Losses, PartitionLoss, archived_pages, lost
from eventstore.archive.standing import Standing
from eventstore.errors import ServerRefused, StoreMismatch
from eventstore.sync_store import SyncEventStore

_CALL_EVENTS = 100
_CALL_BYTES = 4 * 1_048_576
_WARM = """
UPDATE runs SET is_dropped = 0
WHERE is_dropped AND id IN (SELECT run FROM events WHERE place > ? AND place <= ?)
"""

OnProgress = Callable[[int], None]
"""Is told, now and then, how many events were put back."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """What was put back, and where it could not be: other events took the places."""

    events: int
    refused: dict[int, str]
    """Of each partition in which events are still lost: why."""
    left: Losses
    """What is still lost."""
    is_new_store: bool
    """Whether the namespace had been made anew: its consumer groups did not come back."""


def put_back(
    archive: Archive,
    store: SyncEventStore,
    *,
    new_store: bool = False,
    on_progress: OnProgress | None = None,
) -> PutBack:
    """Put every lost event back at its own position and version, in order.

    Heads, run streams and timers come back with them; idempotency keys do not, since they are in
    no event. Where other events took the places, nothing is put back: see ``accept``. Killed
    anywhere, it can be run again. An emptied server gets the whole archive back, and its old
    identity: open its stores again afterwards. Its consumer groups are not in the archive: from
    then on somebody must say where one begins (``Groups.create``) before a service of it starts.

    - ``archive``: opened to write, ``Archive.look(path, read_only=False)``. What is put back is
      checked by its checksums alone: ``verify`` the file first if somebody may have changed it.
    - ``new_store``: put back into a namespace that was made anew and appended to since; into
      another one it is refused with ``StoreMismatch`` otherwise.

    Raises ``StoreMismatch`` while an archiver runs, and as ``lost`` does.
    """
    lock = writer_lock(archive)
    lock.acquire()
    try:
        losses = lost(archive, store)
        if losses.is_new_store:
            _adopt(archive, store, allowed=new_store or losses.is_empty)
        done, refused = 0, {}
        for loss in losses.partitions:
            for count, refusal in _put_back(archive, store, loss):
                done += count
                if on_progress:
                    on_progress(done)
                if refusal is not None:
                    refused[loss.partition] = str(refusal)
        left = lost(archive, store)
        if not left.partitions:
            Standing().write(archive.database)
        return PutBack(done, refused, left, losses.is_new_store)
    finally:
        lock.release()


def _put_back(
    archive: Archive, store: SyncEventStore, loss: PartitionLoss
) -> Iterator[tuple[int, object]]:
    if loss.is_replaced:
        yield 0, f"other events follow {loss.kept}, up to {loss.tail}"
        return
    with archive.database.transaction() as tx:  # their run streams come back, and can go again
        tx.execute(_WARM, (place_of(loss.kept), place_of(loss.archived)))
    previous = loss.kept
    for page in archived_pages(archive, loss, _CALL_EVENTS):
        for batch in _by_size(page):
            command = commands.put_back(store.operations.keys, previous, batch)
            refusal = store.perform(ask(command))
            previous = batch[-1].position
            # A call that was sent again after its reply was lost finds what it wrote itself.
            if refusal is not None and not refusal.ends_at(previous):
                if refusal.reason == "error":
                    raise ServerRefused(f"the server refused to put events back: {refusal}")
                yield 0, refusal
                return
            yield len(batch), None


def _by_size(page: list[Entry]) -> Iterator[list[Entry]]:
    """Split a page, so that no call grows too large."""
    batch: list[Entry] = []
    size = 0
    for entry in page:
        if batch and size + len(entry.encoded) > _CALL_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.encoded)
    if batch:
        yield batch


def _adopt(archive: Archive, store: SyncEventStore, *, allowed: bool) -> None:
    known, wanted = (
        Binding.of(store.identity, store.operations.keys),
        Binding.read(archive.database),
    )
    if not allowed:
        raise StoreMismatch(
            f"namespace {known.namespace!r} is not the one that was archived, and events were "
            "appended to it; if it took the place of that one after its data were lost, say "
            "so: new_store=True, or --new-store",
            expected=wanted.store_id,
            found=known.store_id,
        )
    keys = store.operations.keys
    if not store.perform(ask(commands.adopt(keys, known.store_id, wanted.store_id))):
        raise StoreMismatch(f"namespace {known.namespace!r} was made anew meanwhile; try again")
