"""``runstore stats``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import CSV
from replay.cli.options import Command, Moment
from replay.cli.output import Cell, emit, facts, table
from replay.cli.session import Session
from replay.cli.sums import print_activity, print_durations, print_waits

if TYPE_CHECKING:
    from projections import Database


@click.command(cls=Command)
@click.option("--by", "bucket", metavar="BUCKET", help="Per minute, hour, day or week instead.")
@click.option("--durations", is_flag=True, help="How long runs and nodes took instead.")
@click.option("--waits", is_flag=True, help="How long pauses lasted, by reason, instead.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Of its runs; with these.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only from then on; with these.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only before; with these.")
@CSV
@click.pass_obj
def stats(
    session: Session,
    /,
    *,
    bucket: str | None,
    durations: bool,
    waits: bool,
    as_csv: bool,
    **filters: Any,
) -> None:
    """Count runs, pauses and events.

    Reads the database of projections: no server is needed, and what was not projected yet is
    not counted.
    """
    instead = [bool(bucket), durations, waits]
    if sum(instead) > 1:
        raise click.UsageError("give one of --by, --durations and --waits")
    if not any(instead) and (as_csv or any(filters.values())):
        raise click.UsageError("this needs --by, --durations or --waits")
    with session.reading() as database:
        if bucket:
            print_activity(session, database, bucket, filters, as_csv=as_csv)
        elif durations:
            print_durations(session, database, filters, as_csv=as_csv)
        elif waits:
            print_waits(session, database, filters, as_csv=as_csv)
        else:
            _print_figures(session, figures(database))


def _print_figures(session: Session, found: dict[str, Any]) -> None:
    if session.as_json:
        emit(found)
        return
    longest = found["longest_run"]
    facts(
        (
            ("runs", found["runs"]),
            ("events", found["events"]),
            ("pauses", found["pauses"]),
            ("from", found["first_at"]),
            ("to", found["last_at"]),
            ("still paused", found["still_paused"]),
            ("resumed after their window", found["late_resumes"]),
            ("seconds paused", found["paused_seconds"]),
            ("longest run", longest and f"{longest['run_id']}, {longest['events']:,} events"),
            ("projected up to", found["projected_up_to"]),
        )
    )
    _print_counts("runs by status", found["runs_by_status"])
    _print_counts("pauses by reason", found["pauses_by_reason"])
    _print_counts("pauses by status", found["pauses_by_status"])
    _print_counts("events by type", found["events_by_type"])


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    click.echo()
    rows: list[tuple[Cell, ...]] = list(counts.items())
    table(("", ""), rows or [("none", None)], title)


def figures(database: Database) -> dict[str, Any]:
    """Give what ``stats --json`` prints."""
    from eventstore.clock import from_ms  # noqa: PLC0415
    from projections import Pauses, Runs, Timeline, projection_status  # noqa: PLC0415

    runs, pauses = Runs(database), Pauses(database)
    totals, longest = runs.totals(), runs.longest_run()
    by_reason, by_status = pauses.counts_by_reason(), pauses.counts_by_status()
    reached = [place for one in projection_status(database) for place in one.positions.values()]
    return {
        "runs": totals.runs,
        "events": totals.events,
        "pauses": totals.pauses,
        "first_at": totals.first_at,
        "last_at": totals.last_at,
        "still_paused": by_status.get("open", 0) + by_status.get("expired", 0),
        "late_resumes": pauses.late_resumes(),
        "paused_seconds": _whole(pauses.paused_seconds()),
        "longest_run": longest and {"run_id": longest.run_id, "events": longest.version},
        "projected_up_to": from_ms(max(p.ms for p in reached)) if reached else None,
        "runs_by_status": runs.counts_by_status(),
        "pauses_by_reason": {reason or "(none)": count for reason, count in by_reason.items()},
        "pauses_by_status": by_status,
        "events_by_type": Timeline(database).counts_by_type(),
    }


def _whole(seconds: float) -> float:
    return int(seconds) if seconds.is_integer() else seconds
