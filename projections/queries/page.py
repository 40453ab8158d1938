"""Pages of results, and the cursors that lead from one to the next and back."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from eventstore.errors import InvalidArgument

Item = TypeVar("Item")

MAX_LIMIT = 1_000
"""The most items of one page."""

Key = tuple[int | str, ...]
"""What a list is ordered by: the values of the first or last item of a page."""

_MAX_CURSOR_CHARS = 4_096
_INTEGERS = range(-(2**63), 2**63)
_ONWARDS, _BACK = ">", "<"
_NO_CURSOR = "this is no cursor; pass on a page's next_cursor or previous_cursor as it is"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some results, in order.

    ``next_cursor`` asks the same query for the page after it, ``previous_cursor`` for the one
    before; None: there is none.
    """

    items: list[Item]
    next_cursor: str | None
    previous_cursor: str | None = None


class Place(NamedTuple):
    """Where a cursor leads: beyond a key, onwards or back."""

    key: Key
    back: bool


def check_whole(name: str, value: int, highest: int) -> int:
    """Give back a whole number of 1 to ``highest``; raise ``InvalidArgument`` for all else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise InvalidArgument(f"{name} must be 1 to {highest}, not {value!r}")
    return value


def fingerprint(query: str, *asked: Any) -> str:
    """Give a short name for one query with its filters, by which it knows its own cursors."""
    text = repr((query, *asked)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def write_cursor(owner: str, key: Key, *, back: bool = False) -> str:
    """Make the cursor beyond ``key`` for the query whose fingerprint is ``owner``."""
    way = _BACK if back else _ONWARDS
    return base64.urlsafe_b64encode(orjson.dumps([owner, way, *key])).decode().rstrip("=")


def read_cursor(cursor: str, owner: str, kinds: tuple[type, ...]) -> Place:
    """Give the place that a cursor leads to.

    Raises ``InvalidArgument`` for anything but a cursor of the query ``owner``, with a key of
    these ``kinds``.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4) if len(cursor) <= _MAX_CURSOR_CHARS else ""
        found_owner, *rest = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (AttributeError, TypeError, ValueError, binascii.Error):
        raise InvalidArgument(_NO_CURSOR) from None
    if found_owner != owner:
        raise InvalidArgument("this cursor is of another query; keep filters and order the same")
    way, key = rest[:1], rest[1:]
    if (
        way not in ([_ONWARDS], [_BACK])
        or [type(value) for value in key] != list(kinds)
        or any(isinstance(value, int) and value not in _INTEGERS for value in key)
    ):
        raise InvalidArgument(_NO_CURSOR)
    return Place(tuple(key), way == [_BACK])
