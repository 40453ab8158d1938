"""The calls by which anybody sees and steers what groups have set aside; no lease is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from eventstore.commands import Command
from eventstore.events import Position
from eventstore.groups.parking.parked_filter import Place, place_of
from eventstore.groups.parking.parked_run import ParkedRun, parked_run
from eventstore.keys import Keys


class DeadPage(NamedTuple):
    """Parked runs of one partition; ``last`` is the place read last, None if there are no more."""

    runs: list[ParkedRun]
    last: Place | None


def page(
    keys: Keys, group: str, partition: int, span: tuple[Place, Place], limit: int,
    *, newest_first: bool = False,
) -> Command[DeadPage]:  # fmt: skip
    """Read up to ``limit`` runs of a partition, by the time they were parked."""
    names = (keys.dead(partition, group), keys.parked(partition, group))
    low, high = (f"{ms}-{n}" for ms, n in span)

    def decode(rows: list[Any]) -> DeadPage:
        runs = [parked_run(partition, *row) for row in rows if row[1] is not None]
        if len(rows) < limit:
            return DeadPage(runs, None)
        return DeadPage(runs, place_of(Position.at_entry(partition, rows[-1][0])))

    words = (2, *names, low, high, limit, int(newest_first))
    return Command(words, decode, script="parking/page")


def one(keys: Keys, group: str, run_id: str) -> Command[ParkedRun | None]:
    """Read one run, with its traceback; None if it is not parked."""
    partition = keys.partition_of(run_id)
    names = (keys.parked(partition, group), keys.dead(partition, group))
    return Command(
        (2, *names, run_id),
        lambda reply: parked_run(partition, *reply) if reply else None,
        script="parking/run",
    )


def count(keys: Keys, group: str, partition: int) -> Command[int]:
    """Count the parked runs of a partition, those to be redriven included."""
    return Command(("HLEN", keys.parked(partition, group)), int)


def redrive(keys: Keys, group: str, partition: int, runs: Sequence[ParkedRun]) -> Command[int]:
    """Ask for parked runs to be handled after all; gives how many were asked for now."""
    names = (keys.parked(partition, group), keys.redrive(partition, group))
    return Command((2, *names, *_named(runs)), int, script="parking/redrive")


def discard(keys: Keys, group: str, partition: int, runs: Sequence[ParkedRun]) -> Command[int]:
    """Forget parked runs; gives how many were forgotten."""
    names = (keys.parked(partition, group), keys.dead(partition, group))
    words = (3, *names, keys.redrive(partition, group), *_named(runs))
    return Command(words, int, script="parking/discard")


def _named(runs: Sequence[ParkedRun]) -> list[str]:
    """Name each run and its parking, so that only what the caller saw is changed."""
    return [word for run in runs for word in (run.run_id, run.place.entry_id)]
