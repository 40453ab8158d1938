"""An entry of the log, as its bytes are stored."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, NamedTuple

from eventstore.archive.chain import digest_of
from eventstore.archive.layout import position_at
from eventstore.decoding import Decoder, checksum_of, verify_checksum
from eventstore.errors import CorruptEvent
from eventstore.events import Position, RecordedEvent, erased_form

SELECT_EVENTS = (
    "SELECT e.place, e.ms, r.run_id, e.version, e.event, e.checksum, e.append_id, e.workflow_id, "
    "CASE WHEN e.event IS NULL THEN (SELECT e.digest FROM erasures AS x WHERE x.run_id = r.run_id "
    "AND e.version < x.version) END "
    "FROM events AS e JOIN runs AS r ON r.id = e.run"
)
"""Gives what ``Entry.of_row`` takes."""


OF_ANOTHER_KIND = "what is kept of it is of another kind"

_SOUND = {
    (int, str, int, event, str, str, workflow)
    for event in (bytes, NoneType)
    for workflow in (str, NoneType)
}
_ERASED = (NoneType, bytes)


def are_sound(values: Sequence[Any]) -> bool:
    """Say whether these are of the kinds that were archived: SQLite keeps any.

    They are the columns from ``ms`` to ``workflow_id``.
    """
    return tuple(map(type, values)) in _SOUND


class Entry(NamedTuple):
    """One entry: ``workflow_id`` is the run's, where the event itself names none."""

    position: Position
    run_id: str
    version: int
    encoded: bytes
    checksum: str
    append_id: str
    workflow_id: str | None

    @classmethod
    def of_log(
        cls, partition: int, entry_id: bytes, fields: Sequence[bytes], *, as_is: bool = False
    ) -> Entry:
        """Read an entry of the log. Raises ``CorruptEvent``.

        With ``as_is`` its checksum need not fit.
        """
        position = Position.at_entry(partition, entry_id)
        try:
            _, run_id, _, version, _, encoded, _, checksum, _, append_id, *rest = fields
            number = int(version)
            if not as_is:
                verify_checksum(checksum, run_id, append_id, encoded, number, position, rest)
        except ValueError as error:
            raise CorruptEvent(str(position), str(error)) from None
        workflow_id = rest[1].decode() if rest else None
        return cls(
            position,
            run_id.decode(),
            number,
            encoded,
            checksum.decode(),
            append_id.decode(),
            workflow_id,
        )

    @classmethod
    def of_run(cls, run_id: str, partition: int, entry_id: bytes, fields: Sequence[bytes]) -> Entry:
        """Read an entry of a run stream; its checksum need not fit. Raises ``CorruptEvent``."""
        try:
            _, encoded, _, checksum, _, place, _, append_id, *rest = fields
            position = Position.at_entry(partition, place)
            version = int(entry_id.partition(b"-")[0])
            names = checksum.decode(), append_id.decode(), rest[1].decode() if rest else None
        except ValueError as error:
            raise CorruptEvent(f"run {run_id!r}, entry {entry_id!r}", str(error)) from None
        return cls(position, run_id, version, encoded, *names)

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Entry:
        """Read a row of ``SELECT_EVENTS``; see ``erased`` for what a deleted run has left.

        Raises ``CorruptEvent`` where its event is gone without that, and for what cannot be.
        """
        place, ms, run_id, version, encoded, checksum, append_id, workflow_id, erased = row
        position = position_at(place, ms)
        if type(erased) not in _ERASED or not are_sound(row[1:8]) or ms < 0:
            raise CorruptEvent(str(position), OF_ANOTHER_KIND)
        if erased is not None:
            known = cls(position, run_id, version, b"", checksum, append_id, workflow_id)
            return known.erased(erased)
        if encoded is None:
            where = f"version {version} of run {run_id!r} ({position})"
            raise CorruptEvent(where, "the archive holds its digest, and no longer its content")
        return cls(position, run_id, version, encoded, checksum, append_id, workflow_id)

    def erased(self, digest: bytes | None = None) -> Entry:
        """Give the entry as it reads when its content is erased; ``digest`` is that of its own."""
        encoded = erased_form(digest_of(self.encoded) if digest is None else digest)
        rest = [] if self.workflow_id is None else [b"w", self.workflow_id.encode()]
        names = self.run_id.encode(), self.append_id.encode()
        checksum = checksum_of(*names, encoded, self.version, self.position, rest)
        return self._replace(encoded=encoded, checksum=checksum.decode())

    def recorded(self, decoder: Decoder) -> RecordedEvent:
        """Read the event. Raises ``CorruptEvent``."""
        fields = [
            b"r",
            self.run_id.encode(),
            b"v",
            b"%d" % self.version,
            b"e",
            self.encoded,
            b"c",
            self.checksum.encode(),
            b"a",
            self.append_id.encode(),
        ]
        if self.workflow_id is not None:
            fields += (b"w", self.workflow_id.encode())
        position = self.position
        return decoder.log_entry(position.partition, position.entry_id.encode(), fields)
