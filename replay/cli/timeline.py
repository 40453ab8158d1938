"""``runstore timeline``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.deleted import telling_deleted
from replay.cli.following import follow, shape
from replay.cli.listing import CSV, EVERY, print_csv, print_page, watch
from replay.cli.options import CURSOR, LIMIT, Command, Moment
from replay.cli.output import emit
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Span

PLAIN_WIDTH = 100


@click.command(cls=Command)
@click.argument("run", required=False)
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Of all runs of a workflow.")
@click.option("--bars", is_flag=True, help="Draw the run's nodes, calls and pauses as bars.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these types.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="Only run, node, call, pause, signal, log, message or custom.",
)
@click.option("--since", type=Moment(), metavar="TIME", help="Only from then on.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only before.")
@click.option("--newest-first", is_flag=True, help="Turn the order around.")
@click.option("--follow", "following", is_flag=True, help="Go on with what is projected next.")
@EVERY
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def timeline(
    session: Session,
    *,
    run: str | None,
    workflow_id: str | None,
    bars: bool,
    types: tuple[str, ...],
    sources: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    newest_first: bool,
    following: bool,
    every_s: float,
    limit: int,
    cursor: str | None,
    as_csv: bool,
) -> None:
    """Show what happened in a run, or a workflow.

    The events of RUN come by version, those of a workflow's runs by time. With --follow the
    latest ones come first, then the others as they are projected; with --bars too, they are
    drawn anew.
    """
    from projections import Timeline  # noqa: PLC0415

    if (run is None) == (workflow_id is None):
        raise click.UsageError("give either RUN or --workflow")
    if bars and run is None:
        raise click.UsageError("--bars draws one RUN")
    if following and (newest_first or cursor):
        raise click.UsageError("--follow begins at the latest events, without a cursor")
    filters: dict[str, Any] = {
        "types": types or None,
        "sources": sources or None,
        "since": since,
        "until": until,
    }
    whose: dict[str, Any] = {"run_id": run, "workflow_id": workflow_id}
    with session.reading() as database, telling_deleted(database, run):
        asked = Timeline(database)
        if bars and run is not None:
            if following:
                watch(
                    lambda: asked.spans(run),
                    lambda spans: _print_bars(session, spans, as_csv=as_csv),
                    every_s,
                )
            _print_bars(session, asked.spans(run), as_csv=as_csv)
        elif following:
            follow(session, asked, whose, filters, limit, every_s, as_csv=as_csv)
        else:
            page = asked.timeline(
                **whose, **filters, newest_first=newest_first, limit=limit, cursor=cursor
            )
            columns, row = shape(with_runs=run is None)
            print_page(session, page, columns, row, as_csv=as_csv)


def _print_bars(session: Session, spans: list[Span], *, as_csv: bool) -> None:
    from replay.bars import draw, render  # noqa: PLC0415

    if session.as_json:
        emit({"items": spans, "next_cursor": None})
    elif as_csv:
        print_csv(spans)
    elif sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415

        Console().print(render(spans))
    else:
        for line in draw(spans, PLAIN_WIDTH):
            click.echo("".join(text for text, _style in line).rstrip())
