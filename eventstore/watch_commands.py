"""What signals ask of the server: who watches, and what was delivered before."""

from __future__ import annotations

import logging

from eventstore.commands import Command
from eventstore.keys import Keys
from eventstore.watches import Watcher

_log = logging.getLogger("runstore.signals")


def next_field(
    keys: Keys, partition: int, signal_type: str, after: str | None
) -> Command[str | None]:
    """Read by which field watchers of a type are found, the next one behind a field.

    '' stands for those that are found by none; None is the end.
    """
    lower = f"[{signal_type}\0" if after is None else f"[{signal_type}\0{after}\1"
    words = ("ZRANGEBYLEX", keys.watches(partition), lower, f"({signal_type}\1", "LIMIT", 0, 1)
    return Command(words, lambda reply: reply[0].split(b"\0", 2)[1].decode() if reply else None)


def watchers_page(
    keys: Keys, partition: int, prefix: str, after: bytes | None, limit: int
) -> Command[tuple[list[Watcher], bytes | None]]:
    """Read up to ``limit`` entries of the index that begin with ``prefix``, behind one of them.

    Gives, too, behind which entry there may be more.
    """
    lower = f"[{prefix}".encode() if after is None else b"(" + after
    upper = f"({prefix[:-1]}\1"
    words = ("ZRANGEBYLEX", keys.watches(partition), lower, upper, "LIMIT", 0, limit)

    def decode(reply: list[bytes]) -> tuple[list[Watcher], bytes | None]:
        found = []
        for member in reply:
            try:
                found.append(Watcher.parse(member))
            except ValueError:
                _log.warning("the index of watches holds %r; it is passed over", member)
        return found, reply[-1] if len(reply) == limit else None

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
