"""Measures contenders against floors: interleaved rounds on the same bytes, medians, ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Seconds = Callable[[], float]
GUARD = 0.5
"""A figure below this share of its target fails the run.

So far below the targets on purpose: other work on the machine moves a ratio by a third.
"""


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work: ``work`` is timed and gives how many units it did."""

    name: str
    work: Callable[[], int]
    prepare: Callable[[], None] = nothing
    """Runs before each ``work``, untimed."""
    target: float | None = None
    """The least ratio to the first floor that the project promises."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Floors, and what is measured against them in the same rounds."""

    subject: str
    unit: str
    floors: Sequence[Contender]
    contenders: Sequence[Contender]
    facts: Callable[[], dict[str, Any]] = dict
    """Whatever else the work found out, asked for when all rounds are over."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side did in one round: units, and seconds of three kinds."""

    units: int
    seconds: float
    client_s: float
    """Processor time of this process."""
    server_s: float
    """Processor time of the server."""

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender against one floor, turn by turn."""

    subject: str
    name: str
    floor: str
    unit: str
    turns: Sequence[Turn]
    floor_turns: Sequence[Turn]
    target: float | None = None

    @property
    def ratios(self) -> list[float]:
        """The ratio in each round: both sides saw the same minute."""
        pairs = zip(self.turns, self.floor_turns, strict=True)
        return [ours.rate / floor.rate for ours, floor in pairs]

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)

    @property
    def is_met(self) -> bool:
        """Whether the target is met, where there is one."""
        return self.target is None or self.ratio >= self.target

    @property
    def is_gross(self) -> bool:
        """Whether the figure is so far below its target that noise is not the cause."""
        return self.target is not None and self.ratio < self.target * GUARD

    @property
    def rate(self) -> float:
        """Units a second, the median."""
        return statistics.median(turn.rate for turn in self.turns)

    @property
    def floor_rate(self) -> float:
        """The floor's units a second, the median."""
        return statistics.median(turn.rate for turn in self.floor_turns)

    @property
    def client_us(self) -> float:
        """Microseconds of this process's processor time a unit, the median."""
        return statistics.median(turn.client_s / turn.units for turn in self.turns) * 1e6

    @property
    def server_us(self) -> float:
        """Microseconds of the server's processor time a unit, the median."""
        return statistics.median(turn.server_s / turn.units for turn in self.turns) * 1e6

    def as_json(self) -> dict[str, Any]:
        """Give everything that was measured."""
        return {
            "subject": self.subject,
            "name": self.name,
            "floor": self.floor,
            "unit": self.unit,
            "per_second": self.rate,
            "floor_per_second": self.floor_rate,
            "ratio": self.ratio,
            "ratio_min": min(self.ratios),
            "ratio_max": max(self.ratios),
            "client_us": self.client_us,
            "server_us": self.server_us,
            "rounds": len(self.turns),
            "target": self.target,
        }


def measure(contest: Contest, rounds: int, server_busy_s: Seconds) -> list[Figure]:
    """Let all sides take turns, A B C A B C, after one round that warms them up.

    ``server_busy_s`` tells the processor time that the server has used so far.
    """
    sides = [*contest.floors, *contest.contenders]
    for side in sides:
        _turn(side, server_busy_s)
    turns: list[list[Turn]] = [[] for _ in sides]
    for _ in range(rounds):
        for taken, side in zip(turns, sides, strict=True):
            taken.append(_turn(side, server_busy_s))
    named = {side.name: taken for side, taken in zip(sides, turns, strict=True)}
    return [
        Figure(
            contest.subject,
            side.name,
            floor.name,
            contest.unit,
            named[side.name],
            named[floor.name],
            side.target if floor is contest.floors[0] else None,
        )
        for floor in contest.floors
        for side in contest.contenders
    ]


def _turn(side: Contender, server_busy_s: Seconds) -> Turn:
    side.prepare()
    gc.collect()
    server_s, client_s, start_s = server_busy_s(), time.process_time(), time.perf_counter()
    units = side.work()
    seconds = time.perf_counter() - start_s
    return Turn(
        units,
        seconds,
        time.process_time() - client_s,
        server_busy_s() - server_s,
    )
