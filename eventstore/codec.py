"""Between Python values and the bytes that are stored: JSON, limits, checksum."""

from __future__ import annotations

import math
import zlib
from typing import Any

import orjson

from eventstore.errors import CorruptEvent, InvalidEvent

MAX_DEPTH = 128
"""The deepest nesting of ``data`` and ``meta`` that is taken."""


def encode_json(value: Any, what: str) -> bytes:
    """Write ``value`` as JSON bytes that read back as the same value.

    Raises ``InvalidEvent`` naming ``what`` for anything that JSON would change or lose: NaN and
    infinities, keys that are not strings, bytes, integers beyond 64 bits, lone surrogates,
    cycles, and nesting beyond ``MAX_DEPTH``.
    """
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent(f"{what} is not JSON: {_plain(error)}", field=what) from None
    # orjson writes NaN as null and takes 253 levels; both are rare enough to look for by bytes.
    if b"null" in encoded or encoded.count(b"{") + encoded.count(b"[") > MAX_DEPTH:
        _check_values(value, what)
    return encoded


def decode_json(encoded: bytes, where: str) -> Any:
    """Read JSON bytes. Raises ``CorruptEvent`` naming ``where`` if they are none."""
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise CorruptEvent(where, f"not JSON ({error})") from None


def append_prefix(run_id: bytes, append_id: bytes) -> int:
    """Begin the CRC-32 of an append's events with what they share."""
    return zlib.crc32(b"%b\n%b" % (run_id, append_id))


def crc_of(prefix: int, encoded: bytes) -> int:
    """Give the CRC-32 over an append's prefix and an event's bytes."""
    return zlib.crc32(encoded, prefix)


def _check_values(value: Any, what: str) -> None:
    """Walk a JSON-like value without recursion and refuse what its bytes cannot show."""
    waiting: list[tuple[Any, str, int]] = [(value, what, 1)]
    while waiting:
        item, path, depth = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise InvalidEvent(f"{path} is {item}, which JSON cannot hold", field=path)
        if isinstance(item, (dict, list, tuple)) and depth > MAX_DEPTH:
            raise InvalidEvent(f"{what} is nested deeper than {MAX_DEPTH} levels", field=what)
        if isinstance(item, dict):
            waiting.extend((child, f"{path}.{key}", depth + 1) for key, child in item.items())
        elif isinstance(item, (list, tuple)):
            waiting.extend((child, f"{path}[{n}]", depth + 1) for n, child in enumerate(item))


def _plain(error: Exception) -> str:
    text = str(error)
    return "nested too deep, or a cycle" if "ecursion" in text else text
