"""Signs of life of running runs, as commands."""

from __future__ import annotations

from dataclasses import dataclass

from eventstore.commands import Command
from eventstore.keys import Keys


@dataclass(frozen=True, slots=True)
class Beat:
    """What a sign of life led to: the new deadline in ms since 1970, or why there is none.

    ``outcome`` is ``moved``; ``quiet`` for a run without such a deadline now; ``closed``, and then
    ``number`` is its last version; ``version`` (the same) for a worker that lost the run; ``none``
    for no such run.
    """

    outcome: str
    number: int | None = None


def heartbeat(keys: Keys, run_id: str, expected: int | None) -> Command[Beat]:
    """Move a run's stall deadline, if it has one; not for who knows it before its recovery."""
    partition = keys.partition_of(run_id)

    def decode(reply: list[bytes]) -> Beat:
        return Beat(reply[0].decode(), *map(int, reply[1:]))

    known = "" if expected is None else expected
    words = (2, keys.stalls(partition), keys.head(run_id), known)
    return Command(words, decode, script="heartbeat")
