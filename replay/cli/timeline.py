"""``runstore timeline``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from replay.cli.options import CURSOR, LIMIT, Command, Moment
from replay.cli.output import Cell, emit, emit_page, note_more, table, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Page, Span, TimelineEntry

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
@LIMIT
@CURSOR
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
    limit: int,
    cursor: str | None,
) -> None:
    """Show what happened in a run, or a workflow.

    The events of RUN come by version, those of a workflow's runs by time.
    """
    from projections import Timeline  # noqa: PLC0415

    if (run is None) == (workflow_id is None):
        raise click.UsageError("give either RUN or --workflow")
    if bars and run is None:
        raise click.UsageError("--bars draws one RUN")
    with session.reading() as database:
        if bars and run is not None:
            _print_bars(session, Timeline(database).spans(run))
            return
        page = Timeline(database).timeline(
            run_id=run,
            workflow_id=workflow_id,
            types=types or None,
            sources=sources or None,
            since=since,
            until=until,
            newest_first=newest_first,
            limit=limit,
            cursor=cursor,
        )
    if session.as_json:
        emit_page(page)
    else:
        _print_entries(page, with_runs=run is None)


def _print_entries(page: Page[TimelineEntry], *, with_runs: bool) -> None:
    columns = ["occurred", "run", "version", "type", "node", "actor", "data"]
    rows: list[list[Cell]] = [
        [
            entry.occurred_at,
            entry.run_id,
            entry.version,
            entry.type,
            entry.node_id,
            entry.actor,
            to_json(entry.data),
        ]
        for entry in page.items
    ]
    if not with_runs:
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
    table(columns, rows)
    note_more(page)


def _print_bars(session: Session, spans: list[Span]) -> None:
    from replay.bars import draw, render  # noqa: PLC0415

    if session.as_json:
        emit({"items": spans, "next_cursor": None})
    elif sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415

        Console().print(render(spans))
    else:
        for line in draw(spans, PLAIN_WIDTH):
            click.echo("".join(text for text, _style in line).rstrip())
