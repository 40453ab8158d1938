"""From stream entries to recorded events: the hot path of every reader."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from eventstore.appends import AppendResult
from eventstore.codec import append_prefix, crc_of
from eventstore.errors import CorruptEvent
from eventstore.events import NewEvent, Position, RecordedEvent, Upcasters
from eventstore.events.recorded_event import OpenEvent


class Decoder:
    """Turns entries into events: verifies the checksum, lifts old payloads."""

    def __init__(self, upcasters: Upcasters | None = None) -> None:
        self._upcasters = upcasters or Upcasters()

    def run_entry(
        self, run_id: str, partition: int, entry_id: bytes, fields: list[bytes]
    ) -> RecordedEvent:
        """Read an entry of a run stream. Raises ``CorruptEvent``."""
        version = entry_id[: entry_id.index(b"-")]
        try:
            _, encoded, _, checksum, _, place, _, append_id, *rest = fields
            position = Position.at_entry(partition, place)
            number = int(version)
            verify_checksum(checksum, run_id.encode(), append_id, encoded, number, position, rest)
        except ValueError as error:
            raise CorruptEvent(f"version {int(version)} of run {run_id!r}", str(error)) from None
        return self._event(run_id, number, position, encoded, rest)

    def log_entry(self, partition: int, entry_id: bytes, fields: list[bytes]) -> RecordedEvent:
        """Read an entry of the log. Raises ``CorruptEvent``."""
        position = Position.at_entry(partition, entry_id)
        try:
            _, run_id, _, version, _, encoded, _, checksum, _, append_id, *rest = fields
            number = int(version)
            verify_checksum(checksum, run_id, append_id, encoded, number, position, rest)
        except ValueError as error:
            raise CorruptEvent(str(position), str(error)) from None
        return self._event(run_id.decode(), number, position, encoded, rest)

    def recorded(
        self, events: Sequence[NewEvent], result: AppendResult, workflow_id: str | None
    ) -> list[RecordedEvent]:
        """Give the events of an append as the store recorded them, without reading them back."""
        rest = [b"w", workflow_id.encode()] if workflow_id is not None else []
        versions = range(result.first_version, result.last_version + 1)
        return [
            self._event(result.run_id, version, position, event.encoded, rest)
            for event, version, position in zip(events, versions, result.positions, strict=True)
        ]

    def _event(
        self,
        run_id: str,
        version: int,
        position: Position,
        encoded: bytes,
        rest: list[bytes],
    ) -> RecordedEvent:
        try:
            stored = orjson.loads(encoded)
            data, event_type = stored["data"], stored["type"]
            schema_version = stored.get("schema_version", 1)
            occurred = stored.get("occurred_at")
            workflow_id = stored.get("workflow_id")
            if workflow_id is None and rest:
                workflow_id = rest[1].decode()
            recorded_at = _at(position.ms)
            occurred_at = datetime.fromisoformat(occurred) if occurred else recorded_at
            event_id, meta = stored["id"], stored.get("meta") or {}
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptEvent(
                f"version {version} of run {run_id!r} ({position})",
                f"no event ({type(error).__name__})",
            ) from error
        if self._upcasters:
            data, schema_version = self._upcasters.lift(event_type, data, schema_version)
        event = OpenEvent(
            event_id,
            event_type,
            run_id,
            version,
            workflow_id,
            data,
            meta,
            schema_version,
            occurred_at,
            recorded_at,
            position,
        )
        event.__class__ = RecordedEvent
        return event  # type: ignore[no-any-return]


@lru_cache(maxsize=1_024)
def _at(ms: int) -> datetime:
    """Turn the server's milliseconds into a time; events of one append share it."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def verify_checksum(
    checksum: bytes,
    run_id: bytes,
    append_id: bytes,
    encoded: bytes,
    version: int,
    position: Position,
    rest: list[bytes],
) -> None:
    """Raise ``ValueError`` unless the checksum fits."""
    if checksum_of(run_id, append_id, encoded, version, position, rest) != checksum:
        raise ValueError("the checksum does not fit")


def checksum_of(
    run_id: bytes,
    append_id: bytes,
    encoded: bytes,
    version: int,
    position: Position,
    rest: Sequence[bytes],
) -> bytes:
    """Give an entry's checksum, as ``append.lua`` adds it up."""
    total = crc_of(append_prefix(run_id, append_id), encoded)
    total += 65537 * version + 257 * position.n + position.ms
    if rest:
        total += _workflow_sum(rest[1])
    return b"%08x" % (total & 0xFFFFFFFF)


@lru_cache(maxsize=1_024)
def _workflow_sum(workflow_id: bytes) -> int:
    return int(hashlib.sha1(workflow_id, usedforsecurity=False).hexdigest()[:8], 16)
