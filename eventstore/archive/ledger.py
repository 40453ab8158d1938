"""Writes batches of entries: rows, runs, positions and a seal in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eventstore.archive.archive import Archive
from eventstore.archive.chain import digest_of, next_link
from eventstore.archive.entry import Entry
from eventstore.archive.erasing import Deletion, erase
from eventstore.archive.layout import place_of
from eventstore.archive.reached import load_reached
from eventstore.archive.run_rows import RunRow, load_runs, write_runs
from eventstore.archive.seals import (
    Heads,
    Kind,
    Seal,
    first_hash,
    last_seal,
    make_seal,
    write_seal,
)
from eventstore.archive.source import Mark
from eventstore.clock import Clock, to_ms
from eventstore.errors import HistoryGap, InvalidArgument, LogRegressed, StoreMismatch
from eventstore.events import Position
from eventstore.sqlite import Transaction

MAX_CACHED_RUNS = 20_000

_ADD = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MOVE = "INSERT OR REPLACE INTO positions (partition_no, ms, n) VALUES (?, ?, ?)"
_LAST_ID = "SELECT coalesce(max(id), 0) FROM runs"
_CHECKSUM = "SELECT checksum FROM events WHERE place = ?"
_ERASED = "SELECT 1 FROM erasures WHERE wiped_ms IS NULL LIMIT 1"
_ORIGIN = "SELECT value FROM facts WHERE name = 'origin'"


class Ledger:
    """The writing side of an archive; one at a time, under its writer lock.

    What it remembers is what the file says: after an error ``load`` it again.
    """

    def __init__(
        self, archive: Archive, key: bytes | None, clock: Clock, *, begin_signing: bool = False
    ) -> None:
        self._archive = archive
        self._key = key
        self._may_begin = begin_signing
        self._clock = clock
        self._seal: Seal | None = None
        self._origin = ""
        self._last_id = 0
        self._has_erased = False
        self._runs: dict[str, RunRow] = {}
        self.marks: dict[int, Mark] = {}
        """The last archived entry of each partition; empty before ``load``."""

    def load(self) -> None:
        """Read where the archive stands. Raises ``InvalidArgument`` for a missing or wrong key."""
        self.forget()
        with self._archive.database.snapshot() as tx:
            self._seal = last_seal(tx)
            ((self._origin,),) = tx.execute(_ORIGIN)
            ((self._last_id,),) = tx.execute(_LAST_ID)
            self._has_erased = bool(tx.execute(_ERASED))
            self._check_key()
            reached = load_reached(tx, self._archive.binding.partitions)
            self.marks = {p: Mark(at, _checksum_at(tx, at)) for p, at in reached.items()}

    @property
    def has_erased(self) -> bool:
        """Whether content was erased that may still stand in files beside the archive."""
        return self._has_erased

    def settle(self) -> None:
        """Empty the file beside the archive, unless a reader hinders that: then it is for later."""
        self._has_erased = not self._archive.database.settle()

    def forget(self) -> None:
        """Forget all; the file says it."""
        self.marks, self._runs = {}, {}

    def write(self, entries: Sequence[Entry]) -> None:
        """Add entries that go on where the marks stand, and seal them.

        Raises ``LogRegressed`` for an event in the place of another, ``HistoryGap`` for one
        behind a missing one, ``StoreMismatch`` where somebody else wrote to the archive. Then,
        and on any other error, nothing is written.
        """
        try:
            with self._archive.database.transaction() as tx:
                self._check_alone(tx)
                touched = self._touched(tx, entries)
                tx.executemany(_ADD, [_row(touched[entry.run_id], entry) for entry in entries])
                write_runs(tx, touched.values())
                deletions = [
                    Deletion(r.run_id, r.version) for r in touched.values() if r.is_deleted
                ]
                erase(tx, deletions, to_ms(self._clock()))
                moved = {entry.position.partition: entry for entry in entries}
                heads = {run_id: (run.version, run.chain) for run_id, run in touched.items()}
                positions = [entry.position for entry in moved.values()]
                tx.executemany(_MOVE, positions)
                seal = self.seal(tx, "events", positions, len(entries), heads)
        except BaseException:
            self.forget()
            raise
        self._seal = seal
        self._has_erased |= bool(deletions)
        self.marks |= {p: Mark(e.position, e.checksum) for p, e in moved.items()}

    @property
    def next_seal(self) -> int:
        """The number of the next seal."""
        return self._seal.sequence + 1 if self._seal else 1

    def seal(
        self,
        tx: Transaction,
        kind: Kind,
        positions: Iterable[Position],
        events: int,
        heads: Heads,
        note: str = "",
    ) -> Seal:
        """Add the next seal. What is remembered goes on from it when the transaction stands."""
        seal = make_seal(
            sequence=self.next_seal,
            previous=self._seal.hash if self._seal else first_hash(self._origin),
            kind=kind,
            at_ms=to_ms(self._clock()),
            positions=positions,
            events=events,
            heads=heads,
            note=note,
            key=self._key,
        )
        write_seal(tx, seal)
        return seal

    def _touched(self, tx: Transaction, entries: Iterable[Entry]) -> dict[str, RunRow]:
        names = dict.fromkeys(entry.run_id for entry in entries)
        if len(self._runs) > MAX_CACHED_RUNS:
            self._runs = {}
        missing = [name for name in names if name not in self._runs]
        for run in load_runs(tx, missing):
            self._runs[run.run_id] = run
        for name in missing:
            if name not in self._runs:
                self._last_id += 1
                self._runs[name] = RunRow.new(self._last_id, name)
        return {name: self._runs[name] for name in names}

    def _check_alone(self, tx: Transaction) -> None:
        """Raise ``StoreMismatch`` unless the file stands where it was left."""
        if last_seal(tx) != self._seal:
            raise StoreMismatch(
                f"archive {self._archive.path} is not as this archiver left it: another one "
                "writes to it, or a copy was put in its place; see to it that one runs",
                path=str(self._archive.path),
            )

    def _check_key(self) -> None:
        if self._seal is None:
            return
        if self._seal.signature is None:
            self._check_beginning()
            return
        if self._key is None:
            raise InvalidArgument(
                f"the seals of archive {self._archive.path} are signed; give the key in "
                "RUNSTORE_SEAL_KEY"
            )
        if not self._seal.is_signed_with(self._key):
            raise InvalidArgument(
                f"the seals of archive {self._archive.path} are signed with another key than "
                "the one given in RUNSTORE_SEAL_KEY"
            )

    def _check_beginning(self) -> None:
        """Refuse to sign what is unsigned unasked: signatures may have been taken away."""
        if self._key is not None and not self._may_begin:
            raise InvalidArgument(
                f"the seals of archive {self._archive.path} are not signed, and the key in "
                "RUNSTORE_SEAL_KEY would vouch for all of them; if they never were signed, look at "
                "'runstore archive verify' and then say 'runstore archive run --begin-signing'"
            )


def _row(run: RunRow, entry: Entry) -> tuple[Any, ...]:
    """Make an entry's row, and bring its run up to date."""
    position, _, version, encoded, checksum, append_id, workflow_id = entry
    if version != run.version + 1:
        raise _misplaced(run, entry)
    digest = digest_of(encoded)
    chain = next_link(run.chain, digest, version, position, append_id, workflow_id)
    run.version, run.chain = version, chain
    run.fold(encoded, workflow_id)
    return (
        place_of(position),
        position.ms,
        run.id,
        version,
        encoded,
        checksum,
        append_id,
        workflow_id,
        digest,
        chain,
    )


def _misplaced(run: RunRow, entry: Entry) -> Exception:
    where = f"run {run.run_id!r}"
    if entry.version > run.version:
        return HistoryGap(where, f"version {run.version + 1}", f"version {entry.version}")
    return LogRegressed(where, f"version {run.version}", f"version {entry.version} once more")


def _checksum_at(tx: Transaction, at: Position) -> str:
    rows = tx.execute(_CHECKSUM, (place_of(at),))
    return rows[0][0] if rows else ""
