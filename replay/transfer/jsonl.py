"""One event a line: the JSON that imports read and exports write.

A line is an object with ``run_id`` and ``type``; ``data``, ``workflow_id``, ``occurred_at`` (ISO
8601 with a zone) and ``meta`` may be there. Exports add ``id``, ``version`` and
``schema_version``, so that an import of them gives the very same history.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

import orjson

from eventstore.clock import to_ms
from eventstore.errors import InvalidEvent
from eventstore.events import NewEvent, RecordedEvent, check_run_id

FIELDS = (
    "run_id",
    "workflow_id",
    "type",
    "data",
    "occurred_at",
    "meta",
    "id",
    "version",
    "schema_version",
)
MAX_LINE_BYTES = 16_777_216
"""The longest line that is taken: room for the largest event, however it is escaped."""

_LONG_NUMBER = re.compile(rb"\d{19}")
_NO_TIME_MS = 0
_ID_TIME_BITS = 0xFFFF_FFFF_FFFF


def read_fields(raw: bytes) -> dict[str, Any]:
    """Read a line as far as it can be told without its run. Raises ``InvalidArgument``."""
    if len(raw) > MAX_LINE_BYTES:
        raise InvalidEvent(f"the line is over {MAX_LINE_BYTES} bytes long")
    fields = load_json(raw)
    if not isinstance(fields, dict):
        raise InvalidEvent(f"a line must be a JSON object, not {type(fields).__name__}")
    unknown = fields.keys() - set(FIELDS)
    if unknown:
        raise InvalidEvent(f"unknown fields {', '.join(map(repr, sorted(unknown)))}"[:200])
    missing = [name for name in ("run_id", "type") if name not in fields]
    if missing:
        raise InvalidEvent(f"{' and '.join(missing)} is missing")
    check_run_id(fields["run_id"])
    version = fields.get("version")
    if version is not None and (type(version) is not int or version < 1):
        raise InvalidEvent(f"version must be a whole number from 1 up, not {version!r}"[:200])
    return fields


def event_of(fields: dict[str, Any], version: int) -> NewEvent:
    """Make the event of a line's fields that has this version in its run.

    Raises ``InvalidEvent``.
    """
    occurred_at = _moment(fields.get("occurred_at"))
    event_id = fields.get("id")
    if event_id is None:
        event_id = stable_id(fields, version, occurred_at)
    schema_version = fields.get("schema_version")
    try:
        return NewEvent(
            fields["type"],
            fields.get("data"),
            workflow_id=fields.get("workflow_id"),
            id=event_id,
            occurred_at=occurred_at,
            meta=fields.get("meta"),
            schema_version=1 if schema_version is None else schema_version,
        )
    except TypeError as error:  # a time zone that JSON cannot show
        raise InvalidEvent(f"it cannot be written as JSON: {error}") from None


def stable_id(fields: dict[str, Any], version: int, occurred_at: datetime | None) -> str:
    """Give the id of a line that names none: the same for the same line at the same place.

    It has the shape of a UUIDv7. Its time is ``occurred_at`` in ms since 1970 (0 where there is
    none, or an earlier one). The other 74 bits are the last ones of the BLAKE2b hash, ten bytes
    long, of the line's fields and the version as JSON with sorted keys and without spaces.
    """
    try:
        content = orjson.dumps({**fields, "version": version}, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise InvalidEvent(f"it is not JSON that can be kept: {error}") from None
    hashed = int.from_bytes(hashlib.blake2b(content, digest_size=10).digest())
    ms = max(_NO_TIME_MS, to_ms(occurred_at)) if occurred_at else _NO_TIME_MS
    head = (ms & _ID_TIME_BITS) << 16 | 7 << 12 | hashed >> 62 & 0xFFF
    digits = f"{head:016x}{2 << 62 | hashed & (1 << 62) - 1:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def write_line(event: RecordedEvent) -> bytes:
    """Write an event as a line, with its end."""
    fields = {name: getattr(event, name) for name in FIELDS}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def load_json(raw: bytes) -> Any:
    """Read JSON; orjson would turn a number beyond 64 bits into another one in silence.

    Raises ``InvalidEvent``.
    """
    try:
        return json.loads(raw) if _LONG_NUMBER.search(raw) else orjson.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"not JSON ({error})"[:200]) from None


def _moment(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidEvent(f"occurred_at {text!r:.80} is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise InvalidEvent(f"occurred_at {text!r:.80} has no time zone; add Z for UTC")
    return moment
