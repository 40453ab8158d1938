"""What many runs add up to: in buckets of time, and as spreads of durations."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from eventstore.errors import InvalidArgument
from projections.queries.base import Queries, filtered
from projections.queries.conditions import Conditions, moment

HOUR_MS = 3_600_000
BUCKETS = {"minute": 60_000, "hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 7 * 24 * HOUR_MS}
"""The lengths of buckets in milliseconds. They begin at full UTC ones; weeks on Mondays."""
MAX_BUCKETS = 10_000

_MONDAY_MS = 3 * BUCKETS["day"]  # 1970-01-01 was a Thursday
_EARLIEST_MS = 62_135_596_800_000  # from the year 1 to 1970
_ENDS = {"completed": "completed", "failed": "failed", "aborted": "aborted"}


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened from ``start`` on, for one bucket of time."""

    start: datetime
    started: int = 0
    ended: int = 0
    completed: int = 0
    failed: int = 0
    aborted: int = 0
    paused: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """How durations spread, in seconds. Percentiles lie between two values where they fall so.

    They are those of ``statistics.quantiles(values, n=100, method="inclusive")``.
    """

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class RunDurations:
    """How long the runs of a workflow took, from their first event to their end."""

    workflow_id: str | None
    seconds: Spread


@dataclass(frozen=True, slots=True)
class NodeDurations:
    """How long the completed attempts of a node took."""

    workflow_id: str | None
    node_id: str
    seconds: Spread


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the resumed pauses of a reason lasted."""

    reason: str | None
    seconds: Spread


class Stats(Queries):
    """Counts and sums up; exact, from indexes alone. A range of times makes it quicker."""

    projection = "runs"

    @filtered
    def activity(
        self,
        bucket: str = "day",
        *,
        workflow_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Activity]:
        """Count the runs that started, ended, failed or paused in each bucket of time.

        ``bucket`` is one of ``BUCKETS``; the first and the last are those with anything in them,
        and none between is left out. Raises ``InvalidArgument`` for a value it cannot take, or
        where there would be more than 10,000 buckets.
        """
        if bucket not in BUCKETS:
            raise InvalidArgument(f"bucket must be one of {', '.join(BUCKETS)}, not {bucket!r}")
        size = BUCKETS[bucket]
        shift = math.ceil(_EARLIEST_MS / size) * size + (_MONDAY_MS if bucket == "week" else 0)
        counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for table, column, kind in _MOMENTS:
            conditions = _conditions(column, workflow_id, since, until)
            for number, name, count in self._rows(
                f"SELECT ({column} + ?) / ?, {kind}, count(*) FROM {table} "
                f"{conditions.where()} GROUP BY 1, 2",
                shift,
                size,
                *conditions.parameters,
            ):
                counts[number][name] += count
        return _filled(counts, size, shift)

    @filtered
    def run_durations(
        self,
        *,
        workflow_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[RunDurations]:
        """Spread how long the runs took that ended in a range of times, by workflow."""
        conditions = _conditions("ended_ms", workflow_id, since, until)
        conditions.among("status", status, tuple(_ENDS))
        rows = self._rows(
            "SELECT workflow_id, json_group_array(max(0, ended_ms - created_ms)) "
            f"FROM runs INDEXED BY runs_by_ended {conditions.where()} GROUP BY workflow_id",
            *conditions.parameters,
        )
        return [RunDurations(workflow, spread(values)) for (workflow,), values in _grouped(rows)]

    @filtered
    def node_durations(
        self,
        *,
        workflow_id: str | None = None,
        node_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[NodeDurations]:
        """Spread how long attempts took that were completed in a range, by workflow and node."""
        conditions = _conditions("ended_ms", workflow_id, since, until)
        conditions.equal("node_id", node_id)
        conditions.add("duration_ms IS NOT NULL")
        part = (
            "SELECT workflow_id, node_id, json_group_array(duration_ms) "
            f"FROM {{}} {conditions.where()} GROUP BY workflow_id, node_id"
        )
        rows = self._rows(
            f"{part.format('nodes')} UNION ALL {part.format('node_attempts')}",
            *conditions.parameters,
            *conditions.parameters,
        )
        return [
            NodeDurations(workflow, node, spread(values))
            for (workflow, node), values in _grouped(rows)
        ]

    @filtered
    def waits(
        self,
        *,
        workflow_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Waits]:
        """Spread how long resumed pauses lasted that began in a range of times, by reason."""
        conditions = _conditions("paused_ms", workflow_id, since, until)
        conditions.add("waited_ms IS NOT NULL")
        rows = self._rows(
            "SELECT reason, json_group_array(waited_ms) "
            f"FROM pauses INDEXED BY pauses_waits {conditions.where()} GROUP BY reason",
            *conditions.parameters,
        )
        return [Waits(why, spread(values)) for (why,), values in _grouped(rows)]


_MOMENTS = (
    ("runs INDEXED BY runs_by_start", "started_ms", "'started'"),
    ("runs INDEXED BY runs_by_ended", "ended_ms", "status"),
    ("pauses", "paused_ms", "'paused'"),
)


def _conditions(
    column: str, workflow_id: str | None, since: datetime | None, until: datetime | None
) -> Conditions:
    conditions = Conditions()
    conditions.equal("workflow_id", workflow_id)
    conditions.add(f"{column} IS NOT NULL")
    conditions.between(column, since, until)
    return conditions


def _filled(counts: dict[int, dict[str, int]], size: int, shift: int) -> list[Activity]:
    """Make a bucket for each number from the first to the last."""
    if not counts:
        return []
    first, last = min(counts), max(counts)
    if last - first >= MAX_BUCKETS:
        raise InvalidArgument(
            f"that would be {last - first + 1:,} buckets; take longer ones, or a shorter range"
        )
    return [
        Activity(
            moment(number * size - shift),
            **counts[number],
            ended=sum(counts[number][status] for status in _ENDS),
        )
        for number in range(first, last + 1)
    ]


def _grouped(rows: Iterable[Sequence[Any]]) -> list[tuple[tuple[Any, ...], list[int]]]:
    """Put values together, by what stands before them; sorted, nothing first.

    They come as JSON: one text of many durations is read much faster than as many rows.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for *key, values in rows:
        groups[tuple(key)] += orjson.loads(values)
    return sorted(groups.items(), key=lambda group: [(one is not None, one) for one in group[0]])


def spread(values_ms: list[int]) -> Spread:
    """Spread one or more durations, given in milliseconds."""
    ordered = sorted(values_ms)

    def percentile(percent: int) -> float:
        whole, rest = divmod((len(ordered) - 1) * percent, 100)
        following = ordered[min(whole + 1, len(ordered) - 1)]
        return (ordered[whole] * (100 - rest) + following * rest) / 100_000

    return Spread(
        count=len(ordered),
        mean=sum(ordered) / len(ordered) / 1_000,
        p50=percentile(50),
        p95=percentile(95),
        p99=percentile(99),
        longest=ordered[-1] / 1_000,
    )
