"""What many runs add up to, as tables: activity over time, durations, waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import print_csv
from replay.cli.output import Cell, emit, table
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Database, Spread

_SPREAD = ("count", "mean s", "50 % s", "95 % s", "99 % s", "longest s")


def print_activity(
    session: Session, database: Database, bucket: str, filters: Mapping[str, Any], *, as_csv: bool
) -> None:
    """Print what happened in each bucket of time."""
    from projections import Stats  # noqa: PLC0415

    found = Stats(database).activity(bucket, **filters)
    rows = [tuple(asdict(one).values()) for one in found]
    columns = ("from", "started", "ended", "completed", "failed", "aborted", "paused")
    _print(session, found, columns, rows, as_csv=as_csv)


def print_durations(
    session: Session, database: Database, filters: Mapping[str, Any], *, as_csv: bool
) -> None:
    """Print how long runs and the attempts of nodes took."""
    from projections import Stats  # noqa: PLC0415

    stats = Stats(database)
    runs, nodes = stats.run_durations(**filters), stats.node_durations(**filters)
    if session.as_json:
        emit({"runs": runs, "nodes": nodes})
        return
    rows = [(one.workflow_id, None, *_spread(one.seconds)) for one in runs]
    rows += [(one.workflow_id, one.node_id, *_spread(one.seconds)) for one in nodes]
    if as_csv:
        names = ("workflow_id", "node_id", "count", "mean", "p50", "p95", "p99", "longest")
        print_csv(dict(zip(names, row, strict=True)) for row in rows)
        return
    table(("workflow", *_SPREAD), [(row[0], *row[2:]) for row in rows[: len(runs)]], "runs")
    click.echo()
    table(("workflow", "node", *_SPREAD), rows[len(runs) :], "nodes, completed attempts")


def print_waits(
    session: Session, database: Database, filters: Mapping[str, Any], *, as_csv: bool
) -> None:
    """Print how long resumed pauses lasted."""
    from projections import Stats  # noqa: PLC0415

    found = Stats(database).waits(**filters)
    rows = [(one.reason or "(none)", *_spread(one.seconds)) for one in found]
    _print(session, found, ("reason", *_SPREAD), rows, as_csv=as_csv)


def _print(
    session: Session,
    found: Sequence[Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    as_csv: bool,
) -> None:
    if session.as_json:
        emit({"items": found, "next_cursor": None})
    elif as_csv:
        print_csv(_flat(asdict(one)) for one in found)
    else:
        table(columns, rows)


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """Put a spread's figures beside what they are of."""
    spread = item.pop("seconds", None)
    return item | (spread or {})


def _spread(seconds: Spread) -> tuple[Cell, ...]:
    return (
        seconds.count,
        seconds.mean,
        seconds.p50,
        seconds.p95,
        seconds.p99,
        seconds.longest,
    )
