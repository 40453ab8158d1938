"""``runstore pauses``, ``runstore resume`` and ``runstore restore``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import CSV, print_page
from replay.cli.options import CURSOR, LIMIT, Command, JsonObject, Moment
from replay.cli.output import Cell, emit, end_unread, note, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Page, Pause
    from replay import RestoreCounts, RunContext


@click.command(cls=Command)
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    help="open, expired, resumed or ended; may come again. Those that still wait by default.",
)
@click.option("--reason", metavar="REASON", help="Only with this reason.")
@click.option("--run", "run_id", metavar="RUN", help="Only of this run.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only of its runs.")
@click.option("--cause", metavar="CAUSE", help="Only those that this ended, such as signal.")
@click.option("--actor", metavar="NAME", help="Only those that this one ended.")
@click.option("--paused-after", type=Moment(), metavar="TIME", help="Only begun from then on.")
@click.option("--paused-before", type=Moment(), metavar="TIME", help="Only begun before.")
@click.option("--expiring-before", type=Moment(), metavar="TIME", help="Only windows over then.")
@click.option(
    "--order",
    default="-paused",
    show_default=True,
    metavar="ORDER",
    help="paused or expires; with a minus the latest come first.",
)
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def pauses(session: Session, /, *, status: tuple[str, ...], as_csv: bool, **filters: Any) -> None:
    """List pauses: those that still wait, unless a status, cause or actor is asked for.

    A pause is overdue when its window is over and nothing was done about it: see restore.
    """
    from eventstore.clock import system_clock  # noqa: PLC0415
    from projections import Pauses  # noqa: PLC0415
    from projections.queries.pauses import WAITING  # noqa: PLC0415

    over = filters["cause"] or filters["actor"]
    with session.reading() as database:
        page: Page[Any] = Pauses(database).list_pauses(
            status=status or (None if over else WAITING), **filters
        )
    now = system_clock()

    def overdue(pause: Pause) -> bool:
        return pause.status == "open" and pause.expires_at is not None and pause.expires_at <= now

    if session.as_json:
        page = replace(
            page, items=[asdict(pause) | {"overdue": overdue(pause)} for pause in page.items]
        )
    print_page(
        session, page, _COLUMNS, lambda pause: _row(pause, overdue=overdue(pause)), as_csv=as_csv
    )


_COLUMNS = ("run", "pause", "reason", "status", "paused", "expires", "on expiry", "waited s", "by")


def _row(pause: Pause, *, overdue: bool) -> tuple[Cell, ...]:
    return (
        pause.run_id,
        pause.pause_id,
        pause.reason,
        pause.status + (", overdue" if overdue else ", late" if pause.late else ""),
        pause.paused_at,
        pause.expires_at,
        pause.on_expiry,
        pause.waited_seconds,
        pause.actor or pause.cause,
    )


@click.command(cls=Command)
@click.argument("run")
@click.option("--pause", "pause_id", metavar="PAUSE", help="Which, where several are open.")
@click.option("--patch", type=JsonObject(), help="A JSON object that goes into the state.")
@click.option("--actor", metavar="NAME", help="Who resumes it.")
@click.pass_obj
def resume(
    session: Session,
    run: str,
    pause_id: str | None,
    patch: dict[str, Any] | None,
    actor: str | None,
) -> None:
    """End a pause, and print its context.

    The context is what a worker needs to go on, as JSON. Of all that try, one wins; the others
    exit with 1. A worker appends with the context's version as the expected one.
    """
    from replay import SyncRunControl  # noqa: PLC0415

    with session.store() as store:
        context = SyncRunControl(store).resume(run, patch, pause_id=pause_id, actor=actor)
    click.echo(to_json(context, indented=not session.as_json))


@click.command(cls=Command)
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.pass_obj
def restore(session: Session, *, follow: bool) -> None:
    """Let windows that are over take effect.

    Each does so once, however many do this at the same time. Each run that goes on is printed:
    its context, as one line of JSON, for whoever works on it. A line that could not be written is
    printed again by a later restore. The counts go to stderr; with --json they are the last
    line, {"counts": ...}.
    """
    from replay import RestoreCounts, SyncRestorer  # noqa: PLC0415

    with session.store() as store:
        restorer = SyncRestorer(store, _hand_over)
        if follow:
            restorer.run()
        counts = RestoreCounts()
        while (done := restorer.run_once()).due:
            counts.add(done)
    _print_counts(session, counts)
    if counts.errors or counts.handovers_failed:
        raise click.ClickException("not all could be dealt with; a later restore tries again")


def _hand_over(context: RunContext) -> None:
    try:
        emit(context)
    except BrokenPipeError:
        end_unread()  # not an error of the run's worker: the run is handed over again, later


def _print_counts(session: Session, counts: RestoreCounts) -> None:
    if session.as_json:
        emit({"counts": counts})
        return
    shown = asdict(counts)
    note(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in shown.items()))
