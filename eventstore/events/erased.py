"""What is read in the place of an event whose content was erased."""

from __future__ import annotations

from uuid import UUID

import orjson

ERASED = "event.erased"
"""The type that an erased event has: its data and meta are empty, its id is made of its digest."""


def erased_form(digest: bytes) -> bytes:
    """Give the JSON that stands for an erased event, by the SHA-256 of what it was.

    The version, position and time it was recorded at are kept beside it, as they were.
    """
    number = int.from_bytes(digest[:16]) & ~(0xF << 76) & ~(0x3 << 62)
    name = UUID(int=number | 8 << 76 | 2 << 62)  # a UUIDv8
    return orjson.dumps({"id": str(name), "type": ERASED, "data": {}})
