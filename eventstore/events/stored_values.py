"""Large values of states: each lies once in its run, as an event, and is named by its digest.

A state's event holds the small values in ``state``, and in ``stored`` the digests of the others by
their keys. References stand beside the state and never in it, so nothing in a state is taken for
one.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints

STORED = "state.stored"
"""The type of the event that holds a value."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def value_digest(value: Any) -> str:
    """Give the digest that names a value, whatever the order of its keys.

    Raises ``ValueError`` for what is not JSON.
    """
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):
        raise ValueError("is not JSON") from None
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
