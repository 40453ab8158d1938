"""Measures contenders against floors: interleaved rounds on the same bytes, medians, ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

GUARD = 0.5
"""A figure below this share of its target is a gross regression: the run fails.

Far below the targets on purpose: a busy machine moves a ratio by a third, not by half.
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
    """Floors, and what is measured against each of them in the same rounds."""

    subject: str
    unit: str
    floors: Sequence[Contender]
    contenders: Sequence[Contender]
    facts: dict[str, Any] = field(default_factory=dict)
    """Whatever else the work found out."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender against one floor: units a second of both, and the ratio, round by round."""

    subject: str
    name: str
    floor: str
    unit: str
    rates: Sequence[float]
    floor_rates: Sequence[float]
    target: float | None

    @property
    def ratios(self) -> list[float]:
        """The ratio in each round: both sides saw the same minute."""
        return [ours / floor for ours, floor in zip(self.rates, self.floor_rates, strict=True)]

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
        """Whether the figure is so far below its target that noise can't be the cause."""
        return self.target is not None and self.ratio < self.target * GUARD

    def as_json(self) -> dict[str, Any]:
        """Give everything that was measured."""
        return {
            "subject": self.subject,
            "name": self.name,
            "floor": self.floor,
            "unit": self.unit,
            "per_second": statistics.median(self.rates),
            "floor_per_second": statistics.median(self.floor_rates),
            "ratio": self.ratio,
            "ratio_min": min(self.ratios),
            "ratio_max": max(self.ratios),
            "rounds": len(self.rates),
            "target": self.target,
        }


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a subject is measured: a server, a folder for files, and how much to do."""

    url: str
    folder: Path
    quick: bool
    data: Path | None = None
    """A file of histories for the import; else one is made."""

    def scaled(self, count: int, least: int = 1) -> int:
        """Give how much to do in a round: all of it, or a tenth when it must be quick."""
        return max(count // 10, least) if self.quick else count

    def client(self) -> redis.Redis:
        """Make a plain client for a floor."""
        return redis.Redis.from_url(self.url, protocol=2)

    def forget(self, *prefixes: str) -> None:
        """Delete what was written under these namespaces and names."""
        with self.client() as client:
            for prefix in prefixes:
                for pattern in (f"{{{prefix}:*", f"{prefix}*"):
                    for keys in _some(client.scan_iter(pattern, count=1_000)):
                        client.unlink(*keys)


def _some(keys: Iterator[bytes], size: int = 1_000) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    for key in keys:
        page.append(key)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def measure(contest: Contest, rounds: int) -> list[Figure]:
    """Run all sides in turn, A B C A B C, after one turn that warms them up."""
    sides = [*contest.floors, *contest.contenders]
    for side in sides:
        _rate(side)
    measured = [[_rate(side) for side in sides] for _ in range(rounds)]
    rates = {side.name: [turn[n] for turn in measured] for n, side in enumerate(sides)}
    return [
        Figure(
            contest.subject,
            side.name,
            floor.name,
            contest.unit,
            rates[side.name],
            rates[floor.name],
            side.target if floor is contest.floors[0] else None,
        )
        for side in contest.contenders
        for floor in contest.floors
    ]


def _rate(side: Contender) -> float:
    side.prepare()
    gc.collect()
    start = time.perf_counter()
    units = side.work()
    return units / (time.perf_counter() - start)
