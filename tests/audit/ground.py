"""A store with archive and projections, and what somebody does to it behind everybody's back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from archive.filing import KEY, archived, opened, tamper
from servers import AnyServer

from eventstore import Position, SyncEventStore
from eventstore.codec import append_prefix, crc_of
from projections import Projector, open_database
from replay.audit import AuditReport, SyncAudit


class Ground:
    """One store, its archive, its database, and ways to tamper with each."""

    def __init__(self, store: SyncEventStore, server: AnyServer, folder: Path) -> None:
        self.store = store
        self.keys = store.operations.keys
        self.admin = server.admin
        self.archive = folder / "a.db"
        self.database = folder / "p.db"

    def follow(self, batch_events: int = 4) -> None:
        """Archive and project all that there is."""
        archived(self.store, self.archive, seal_key=KEY, batch_events=batch_events)
        self.project()

    def project(self) -> None:
        """Project all that there is."""
        with open_database(self.database) as database, Projector(self.store, database) as projector:
            projector.run_to_end()

    def verify(self, **options: Any) -> AuditReport:
        """Check everything that is there."""
        with ExitStack() as stack:
            archive = database = None
            if self.archive.exists():
                archive = stack.enter_context(opened(self.store, self.archive, read_only=True))
            if self.database.exists():
                database = stack.enter_context(open_database(self.database))
            return SyncAudit(self.store).verify(archive, database, **{"key": KEY, **options})

    def position(self, run_id: str, version: int) -> Position:
        return self.store.load(run_id)[version - 1].position

    def replace_in_log(self, at: Position, fields: dict[bytes, bytes] | None) -> None:
        """Put another entry in the place of one in the log, or none."""
        log = self.keys.log(at.partition)
        entries = self.admin.xrange(log)
        self.admin.delete(log)
        for entry_id, known in entries:
            found = fields if entry_id.decode() == at.entry_id else known
            if found is not None:
                self.admin.xadd(log, found, id=entry_id)

    def replace_in_run(self, run_id: str, changed: dict[int, dict[bytes, bytes] | None]) -> None:
        """Put other entries in the places of some of a run's own stream, or none."""
        stream = self.keys.run(run_id)
        entries = self.admin.xrange(stream)
        self.admin.delete(stream)
        for entry_id, known in entries:
            found = changed.get(int(entry_id.split(b"-")[0]), known)
            if found is not None:
                self.admin.xadd(stream, found, id=entry_id)

    def in_run(self, run_id: str, version: int) -> dict[bytes, bytes]:
        """Give the fields of an entry of a run's own stream."""
        ((_, fields),) = self.admin.xrange(self.keys.run(run_id), f"{version}-0", f"{version}-0")
        return dict(fields)

    def in_log(self, at: Position) -> dict[bytes, bytes]:
        """Give the fields of an entry of the log."""
        ((_, fields),) = self.admin.xrange(self.keys.log(at.partition), at.entry_id, at.entry_id)
        return dict(fields)

    def in_archive(self, statement: str) -> None:
        assert tamper(self.archive, statement) > 0

    def in_database(self, statement: str) -> None:
        assert tamper(self.database, statement) > 0


def flipped(fields: dict[bytes, bytes], name: bytes = b"e") -> dict[bytes, bytes]:
    """Change one byte of a field."""
    content = bytearray(fields[name])
    place = len(content) // 2
    content[place] ^= 1
    return {**fields, name: bytes(content)}


def forged(
    fields: dict[bytes, bytes], run_id: str, version: int, at: Position
) -> dict[bytes, bytes]:
    """Change an event's content, with a checksum that fits: anybody can compute that."""
    content = fields[b"e"].replace(b"1.3", b"9.9")
    assert content != fields[b"e"]
    crc = crc_of(append_prefix(run_id.encode(), fields[b"a"]), content)
    total = (crc + 65537 * version + 257 * at.n + at.ms) & 0xFFFFFFFF
    return {**fields, b"e": content, b"c": b"%08x" % total}
