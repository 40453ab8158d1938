"""What signals ask of the server: who watches, and what was delivered before."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.commands import Command
from eventstore.keys import Keys
from eventstore.watches import Watcher

_log = logging.getLogger("runstore.signals")

Page = tuple[list[Watcher], bytes | None]
"""Some who watch, and behind which entry of the index there may be more."""


@dataclass(frozen=True, slots=True)
class FoundBy:
    """Those who are found by a field; '' stands for those that are found by none.

    ``page`` is None where the field's value was not told.
    """

    field: str
    page: Page | None


def found_by(
    keys: Keys,
    partition: int,
    signal_type: str,
    after: str | None,
    begins: Mapping[str, str],
    most_fields: int,
    limit: int,
) -> Command[list[FoundBy]]:
    """Read by which fields watchers of a type are found, those behind a field.

    ``begins`` tells by field how entries begin that are asked for too, up to ``limit`` of each.
    """
    lower = f"[{signal_type}\0" if after is None else f"[{signal_type}\0{after}\1"
    told = [word for pair in begins.items() for word in pair]

    def decode(reply: list[list[Any]]) -> list[FoundBy]:
        return [
            FoundBy(field.decode(), _page(entries[0], limit) if entries else None)
            for field, *entries in reply
        ]

    words = (1, keys.watches(partition), signal_type, lower, most_fields, limit, *told)
    return Command(words, decode, script="watchers")


def watchers_page(
    keys: Keys, partition: int, prefix: str, after: bytes | None, limit: int
) -> Command[Page]:
    """Read up to ``limit`` entries of the index that begin with ``prefix``, behind one of them."""
    lower = f"[{prefix}".encode() if after is None else b"(" + after
    upper = f"({prefix[:-1]}\1"
    words = ("ZRANGEBYLEX", keys.watches(partition), lower, upper, "LIMIT", 0, limit)
    return Command(words, lambda reply: _page(reply, limit))


def _page(members: Sequence[bytes], limit: int) -> Page:
    found = []
    for member in members:
        try:
            found.append(Watcher.parse(member))
        except ValueError:
            _log.warning("the index of watches holds %r; it is passed over", member)
    return found, members[-1] if len(members) == limit else None


def known_append(keys: Keys, run_id: str, idempotency_key: str) -> Command[int | None]:
    """Read at which version of a run an idempotency key was used first; None if it was not."""
    words = ("HGET", keys.head(run_id), f"i:{idempotency_key}")
    return Command(words, lambda reply: int(reply.split(b" ", 1)[0]) if reply else None)


def receipt(keys: Keys, name: str) -> Command[bytes | None]:
    """Read the receipt of a delivery; None if there is none (any more)."""
    return Command(("GET", keys.receipt(name)), lambda reply: reply)


def leave_receipt(keys: Keys, name: str, text: str, keep_ms: int) -> Command[object]:
    """Keep the receipt of a delivery for so long."""
    return Command(("SET", keys.receipt(name), text, "PX", keep_ms), lambda reply: reply)
