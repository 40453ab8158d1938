"""A timeline that goes on: what is there, then what comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import Row, print_csv
from replay.cli.output import Cell, emit, shown, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Timeline, TimelineEntry


def shape(*, with_runs: bool) -> tuple[Sequence[str], Row]:
    """Give the columns of a timeline, and what makes a row of an entry."""
    if with_runs:
        return ("occurred", "run", "version", "type", "node", "actor", "data"), _row
    return (
        ("occurred", "version", "type", "node", "actor", "data"),
        lambda entry: (_row(entry)[0], *_row(entry)[2:]),
    )


def _row(entry: TimelineEntry) -> tuple[Cell, ...]:
    return (
        entry.occurred_at,
        entry.run_id,
        entry.version,
        entry.type,
        entry.node_id,
        entry.actor,
        to_json(entry.data),
    )


def follow(
    session: Session,
    timeline: Timeline,
    whose: Mapping[str, Any],
    filters: Mapping[str, Any],
    limit: int,
    every_s: float,
    *,
    as_csv: bool,
) -> None:
    """Print the latest events, then each as it is projected, until interrupted.

    With JSON each event is a line.
    """
    _, row = shape(with_runs=whose["run_id"] is None)

    def tell(entries: Sequence[TimelineEntry], *, header: bool = False) -> None:
        if as_csv:
            print_csv(entries, header=header)
        for entry in () if as_csv else entries:
            if session.as_json:
                emit(entry)
            else:
                click.echo("  ".join(shown(cell) for cell in row(entry) if cell is not None))
        sys.stdout.flush()

    _, mark = timeline.follow(**whose)
    latest = timeline.timeline(**whose, **filters, newest_first=True, limit=limit).items[::-1]
    known = {(entry.run_id, entry.version) for entry in latest}
    tell(latest, header=True)
    while True:
        entries, mark = timeline.follow(mark, **whose)
        tell([one for one in entries if _wanted(one, filters, known)])
        if not entries:
            known = set()
            time.sleep(every_s)


def _wanted(
    entry: TimelineEntry, filters: Mapping[str, Any], known: Collection[tuple[str, int]]
) -> bool:
    since: datetime | None = filters["since"]
    until: datetime | None = filters["until"]
    return (
        (entry.run_id, entry.version) not in known
        and (not filters["types"] or entry.type in filters["types"])
        and (not filters["sources"] or entry.source in filters["sources"])
        and (since is None or entry.occurred_at >= since)
        and (until is None or entry.occurred_at < until)
    )
