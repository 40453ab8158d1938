"""Accepts a loss: the deliberate, recorded act by which the archive follows the new log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventstore.archive.archive import Archive
from eventstore.archive.archiver import writer_lock
from eventstore.archive.binding import Binding
from eventstore.archive.layout import PARTITION_PLACES, place_of
from eventstore.archive.ledger import Ledger
from eventstore.archive.recovery.losses import Losses, PartitionLoss, lost
from eventstore.archive.run_rows import RunRow, write_runs
from eventstore.archive.seal_key import check_seal_key
from eventstore.archive.standing import Standing
from eventstore.clock import Clock, system_clock, to_ms
from eventstore.errors import InvalidArgument, StoreMismatch
from eventstore.events.identifiers import check_name
from eventstore.sqlite import Transaction
from eventstore.sync_store import SyncEventStore

_FIELDS = "event, checksum, append_id, workflow_id, digest, chain"
_KEEP = f"""
INSERT INTO lost_events (seal, place, ms, run_id, version, {_FIELDS})
SELECT ?, e.place, e.ms, r.run_id, e.version, e.event, e.checksum, e.append_id, e.workflow_id,
       e.digest, e.chain
FROM events AS e JOIN runs AS r ON r.id = e.run WHERE e.place > ? AND e.place < ?
"""
_TOUCHED = """
SELECT id, run_id, version, chain FROM runs
WHERE id IN (SELECT run FROM events WHERE place > ? AND place < ?)
"""
_DELETE = "DELETE FROM events WHERE place > ? AND place < ?"
_LEFT = "SELECT version, chain, event, workflow_id FROM events WHERE run = ? ORDER BY version"
_MOVE = "INSERT OR REPLACE INTO positions (partition_no, ms, n) VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was accepted as lost, and the seal that records it."""

    events: int
    runs: int
    seal: int


def accept(
    archive: Archive,
    store: SyncEventStore,
    reason: str,
    *,
    key: bytes | None = None,
    new_store: bool = False,
    clock: Clock = system_clock,
) -> Acceptance:
    """Accept as lost what the server lost, and let the archiver go on with the log as it is.

    The lost events stay in the archive, in ``lost_events``; readers no longer find them. A seal
    records how many they were, their chains and the reason.

    - ``archive``: opened to write, ``Archive.look(path, read_only=False)``.
    - ``key``: what signs the seals, as for the ``Archiver``.
    - ``new_store``: accept also that the namespace was made anew, under another identity.

    Raises ``InvalidArgument`` for no reason, a wrong key, or where nothing is lost;
    ``StoreMismatch`` for another store, and while an archiver runs.
    """
    check_name("reason", reason)
    lock = writer_lock(archive, clock)
    lock.acquire()
    try:
        losses = lost(archive, store)
        _check(archive, losses, new_store=new_store)
        ledger = Ledger(archive, None if key is None else check_seal_key(key), clock)
        ledger.load()
        with archive.database.transaction() as tx:
            heads: dict[str, tuple[int, bytes]] = {}
            for loss in losses.partitions:
                heads |= _set_aside(tx, loss, ledger.next_seal)
            if losses.is_new_store:
                Binding.of(store.identity, store.operations.keys).rebind(tx)
            kept = [loss.kept for loss in losses.partitions]
            seal = ledger.seal(tx, "accepted", kept, losses.events, heads, reason)
        Standing(since_ms=to_ms(clock())).write(archive.database)
        return Acceptance(losses.events, len(heads), seal.sequence)
    finally:
        lock.release()


def _check(archive: Archive, losses: Losses, *, new_store: bool) -> None:
    if losses.is_new_store and not new_store:
        raise StoreMismatch(
            "the namespace is not the one that was archived; if it took the place of that one "
            "after its data were lost, say so: new_store=True, or --new-store",
            expected=archive.binding.store_id,
        )
    if not losses.partitions and not losses.is_new_store:
        raise InvalidArgument("nothing is lost; there is nothing to accept")


def _set_aside(tx: Transaction, loss: PartitionLoss, seal: int) -> dict[str, tuple[int, bytes]]:
    """Move the lost rows of a partition away; give the chains that their runs had."""
    bounds = (place_of(loss.kept), (loss.partition + 1) * PARTITION_PLACES)
    touched = tx.execute(_TOUCHED, bounds)
    tx.execute(_KEEP, (seal, *bounds))
    tx.execute(_DELETE, bounds)
    numbers = [(number, run_id) for number, run_id, _, _ in touched]
    write_runs(tx, _folded(tx, numbers))
    tx.executemany("DELETE FROM runs WHERE id = ? AND version = 0", ((n,) for n, _ in numbers))
    tx.execute(_MOVE, loss.kept)
    return {run_id: (version, chain) for _, run_id, version, chain in touched}


def _folded(tx: Transaction, runs: list[tuple[int, str]]) -> Iterator[RunRow]:
    """Give the rows of runs as their remaining events make them."""
    for number, run_id in runs:
        row = RunRow.new(number, run_id)
        for version, chain, event, workflow_id in tx.execute(_LEFT, (number,)):
            row.version, row.chain = version, chain
            if event is not None:
                row.fold(event, workflow_id)
        yield row
