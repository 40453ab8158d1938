"""``runstore runs list`` and ``runstore runs show``."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.deleted import telling_deleted
from replay.cli.listing import CSV, EVERY, print_page, watch
from replay.cli.options import CURSOR, LIMIT, Group, Label, Moment
from replay.cli.output import Cell, emit
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Page, Run

_COLUMNS = ("run", "workflow", "status", "events", "created", "ended", "seconds paused")


@click.group(cls=Group)
def runs() -> None:
    """List runs, and show one."""


def _times(command: Any) -> Any:
    """Add the options for the ranges of times."""
    for what in ("ended", "updated", "created"):
        for when in ("before", "after"):
            bound = "Only runs {} {} TIME.".format(what, "from" if when == "after" else "before")
            option = click.option(f"--{what}-{when}", type=Moment(), metavar="TIME", help=bound)
            command = option(command)
    return command


@runs.command("list")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only runs of this workflow.")
@click.option("--status", multiple=True, metavar="STATUS", help="Only these; may come again.")
@click.option("--label", multiple=True, type=Label(), help="Only with this label; may come again.")
@click.option("--parent", metavar="RUN", help="Only runs that this one started.")
@click.option("--text", metavar="WORDS", help="Only with an event that holds these words.")
@_times
@click.option(
    "--order",
    "--sort",
    default="-created",
    show_default=True,
    metavar="ORDER",
    help="created, updated, ended or events; with a minus the latest, or most, come first.",
)
@click.option("--watch", "watching", is_flag=True, help="Show it again whenever it changes.")
@EVERY
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def list_(
    session: Session,
    /,
    *,
    status: tuple[str, ...],
    label: tuple[tuple[str, Any], ...],
    watching: bool,
    every_s: float,
    as_csv: bool,
    **filters: str | datetime | int | None,
) -> None:
    """List runs, the latest first, a page at a time."""
    from projections import Runs  # noqa: PLC0415

    def draw(page: Page[Run]) -> None:
        print_page(session, page, _COLUMNS, _row, as_csv=as_csv)

    with session.reading() as database:

        def ask() -> Page[Run]:
            return Runs(database).list_runs(status=status or None, labels=dict(label), **filters)  # type: ignore[arg-type]

        if watching:
            watch(ask, draw, every_s)
        draw(ask())


def _row(run: Run) -> tuple[Cell, ...]:
    return (
        run.run_id,
        run.workflow_id,
        run.status,
        run.version,
        run.created_at,
        run.ended_at,
        run.paused_seconds,
    )


@runs.command()
@click.argument("run")
@click.pass_obj
def show(session: Session, run: str) -> None:
    """Show a run: what it works on, its nodes, calls, pauses and messages."""
    from replay.cli.run_page import print_run_page, read_page  # noqa: PLC0415

    with session.reading() as database, telling_deleted(database, run):
        page = read_page(database, run)
    if session.as_json:
        hidden = ("run_state",)
        names = [field.name for field in fields(page.run) if field.name not in hidden]
        found = {name: getattr(page.run, name) for name in names}
        parts = ("nodes", "attempts", "calls", "pauses", "messages")
        emit(found | {name: getattr(page, name) for name in parts})
    else:
        print_run_page(page)
