"""The key that signs seals. It is never shown."""

from __future__ import annotations

import base64
import os

from eventstore.errors import InvalidArgument

SEAL_KEY_VARIABLE = "RUNSTORE_SEAL_KEY"
MIN_KEY_BYTES = 16


def parse_seal_key(text: str) -> bytes:
    """Read a key, in hexadecimal or base64. Raises ``InvalidArgument``, which never shows it."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        try:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        except ValueError:
            raise InvalidArgument(
                "the seal key is neither hexadecimal nor base64; make one with "
                "'openssl rand -hex 32'"
            ) from None
    return check_seal_key(key)


def check_seal_key(key: bytes) -> bytes:
    """Raise ``InvalidArgument`` for a key that is too short to be one."""
    if not isinstance(key, bytes) or len(key) < MIN_KEY_BYTES:
        raise InvalidArgument(f"the seal key must be bytes, {MIN_KEY_BYTES} or more of them")
    return key


def seal_key_from_environment() -> bytes | None:
    """Give the key in ``RUNSTORE_SEAL_KEY``; None without one. Raises ``InvalidArgument``."""
    text = os.environ.get(SEAL_KEY_VARIABLE, "").strip()
    return parse_seal_key(text) if text else None
