"""The index of what is due, as commands: looking, taking under a lease, taking off."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from eventstore.commands import Command
from eventstore.keys import Keys
from eventstore.timers import WATCHED, DueTimer, Timer

_log = logging.getLogger("runstore.store")


def due_times(index: str, now_ms: int, limit: int) -> Command[list[int]]:
    """Read when the first timers of an index that are due were due, in ms since 1970."""
    words = ("ZRANGEBYSCORE", index, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, limit)
    return Command(words, lambda reply: [int(float(score)) for score in reply[1::2]])


def due_timers(index: str, now_ms: int, limit: int) -> Command[list[DueTimer]]:
    """Read the first timers of an index that are due, and take none of them."""
    words = ("ZRANGEBYSCORE", index, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, limit)
    return Command(
        words,
        lambda reply: _timers(
            (*pair, pair[1]) for pair in zip(reply[::2], reply[1::2], strict=True)
        ),
    )


def lease_due(index: str, now_ms: int | None, limit: int, lease_ms: int) -> Command[list[DueTimer]]:
    """Take due timers of an index under a lease."""
    words = (1, index, "" if now_ms is None else now_ms, limit, lease_ms)
    return Command(words, _timers, script="due")


def _timers(found: Iterable[Sequence[bytes]]) -> list[DueTimer]:
    timers = []
    for member, due, leased in found:
        try:
            timers.append(DueTimer(Timer.parse(member), int(float(due)), int(float(leased))))
        except ValueError:
            _log.warning("the due index holds %r, which is no timer; it is passed over", member)
    return timers


def settle_timers(
    keys: Keys, timers: Sequence[DueTimer], *, is_taken: bool = False
) -> list[Command[int]]:
    """Take leased timers off their indexes, where the lease still holds; give how many that were.

    ``is_taken`` says that workers took the runs: those that may stall are watched from now on.
    One command settles all of a partition's timers in one index.
    """
    parts: dict[tuple[int, bool], list[DueTimer]] = {}
    for timer in timers:
        place = keys.partition_of(timer.timer.run_id), timer.timer.kind in WATCHED
        parts.setdefault(place, []).append(timer)
    return [
        _settle(keys, partition, part, is_watched=is_watched, is_taken=is_taken)
        for (partition, is_watched), part in parts.items()
    ]


def _settle(
    keys: Keys, partition: int, timers: Sequence[DueTimer], *, is_watched: bool, is_taken: bool
) -> Command[int]:
    tag, stalls = keys.tag(partition), keys.stalls(partition)
    names = [stalls if is_watched else keys.due(partition), stalls]
    names += [keys.head_in(tag, each.timer.run_id) for each in timers]
    words: list[str | int] = [len(names), *names, "1" if is_taken else "0"]
    for each in timers:
        words += (each.timer.member, each.lease_until_ms)
    return Command(tuple(words), int, script="settle")
