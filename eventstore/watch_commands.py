"""What signals ask of the server: who watches, and what was delivered before."""

from __future__ import annotations

import logging

from eventstore.commands import Command
from eventstore.keys import Keys
from eventstore.watches import Watcher

_log = logging.getLogger("runstore.signals")


def watched_fields(
    keys: Keys, partition: int, signal_type: str, after: str | None, limit: int
) -> Command[list[str]]:
    """Read which fields the watchers of a type are found by; '' stands for those found by none."""
    lower = f"[{signal_type}\0" if after is None else f"[{signal_type}\0{after}\1"
    words = (1, keys.watches(partition), lower, f"({signal_type}\1", limit)
    return Command(words, lambda reply: [field.decode() for field in reply], "watched_fields")


def watchers_page(
    keys: Keys, partition: int, prefix: str, after: bytes | None, limit: int
) -> Command[list[Watcher]]:
    """Read up to ``limit`` entries of the index that begin with ``prefix``, behind one of them."""
    lower = f"[{prefix}".encode() if after is None else b"(" + after
    upper = f"({prefix[:-1]}\1"
    words = ("ZRANGEBYLEX", keys.watches(partition), lower, upper, "LIMIT", 0, limit)

    def decode(reply: list[bytes]) -> list[Watcher]:
        found = []
        for member in reply:
            try:
                found.append(Watcher.parse(member))
            except ValueError:
                _log.warning("the index of watches holds %r; it is passed over", member)
        return found

    return Command(words, decode)


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
