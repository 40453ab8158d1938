"""What Redis and the archive hold of events, as it is stored."""

from __future__ import annotations

from typing import Any

from eventstore.archive import Archive
from eventstore.archive.entry import SELECT_EVENTS, Entry
from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.errors import CorruptEvent
from eventstore.events import Position
from eventstore.keys import Keys

_ROWS = f"{SELECT_EVENTS} WHERE r.run_id = ? AND e.version BETWEEN ? AND ?"
_RUNS = "SELECT id, run_id FROM runs WHERE id > ? ORDER BY id LIMIT ?"
_CHECKS = Decoder()


def run_entries(
    keys: Keys, run_id: str, first: int, last: int | None, limit: int
) -> Command[dict[int, Entry | None]]:
    """Read what a run's own stream holds between two versions; None for what is no event."""
    partition = keys.partition_of(run_id)
    end = "+" if last is None else f"{last}-0"
    words = ("XRANGE", keys.run(run_id), f"{first}-0", end, "COUNT", limit)
    return Command(
        words,
        lambda reply: {
            int(entry_id.split(b"-")[0]): _entry(run_id, partition, entry_id, fields)
            for entry_id, fields in reply
        },
    )


def archived_entries(archive: Archive, run_id: str, first: int, last: int) -> dict[int, Entry]:
    """Read what the archive holds of a run between two versions, but for what is gone."""
    with archive.database.snapshot() as tx:
        rows = tx.execute(_ROWS, (run_id, first, last))
    return {row[3]: Entry.of_row(row) for row in rows if row[4] is not None}


def archived_runs(archive: Archive, after: int, limit: int) -> list[tuple[int, str]]:
    """Give a page of the archive's runs, each with its number there."""
    with archive.database.snapshot() as tx:
        return [(number, run_id) for number, run_id in tx.execute(_RUNS, (after, limit))]


def damage(entry: Entry) -> str | None:
    """Say what is wrong with an entry by itself, if anything is."""
    try:
        entry.recorded(_CHECKS)
    except (CorruptEvent, ValueError) as error:
        return getattr(error, "reason", str(error))
    return None


def difference(one: Entry, other: Entry, where: str) -> str | None:
    """Say how two copies of an entry differ, if they do."""
    if (one.run_id, one.version) != (other.run_id, other.version):
        return f"{where} holds version {other.version} of run {other.run_id!r} in its place"
    if one.position != other.position:
        return f"{where} holds it at {other.position}"
    if one.encoded != other.encoded:
        return f"{where} holds other content"
    return None if one == other else f"{where} holds other fields beside its content"


def _entry(run_id: str, partition: int, entry_id: bytes, fields: list[Any]) -> Entry | None:
    try:
        version, below = entry_id.split(b"-")
        _, encoded, _, checksum, _, place, _, append_id, *rest = fields
        return Entry(
            Position.at_entry(partition, place),
            run_id,
            int(version) if below == b"0" else -1,
            encoded,
            checksum.decode(),
            append_id.decode(),
            rest[1].decode() if rest else None,
        )
    except ValueError:
        return None
