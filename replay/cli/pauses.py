"""``runstore pauses``: who waits for what, and how long still."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import CSV, print_page
from replay.cli.options import CURSOR, LIMIT, Command, Moment
from replay.cli.output import Cell
from replay.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from projections import Page, Pause, Pauses


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
    metavar="ORDER",
    help="paused or expires; with a minus the latest come first. Else -paused, overdue first.",
)
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def pauses(session: Session, /, *, status: tuple[str, ...], as_csv: bool, **filters: Any) -> None:
    """List pauses: those that still wait, unless a status, cause or actor is asked for.

    A pause is overdue when its window is over and nothing was done about it: see restore. The
    first page begins with those, unless an order is asked for.
    """
    from eventstore.clock import system_clock  # noqa: PLC0415
    from projections import Pauses  # noqa: PLC0415
    from projections.queries.pauses import WAITING  # noqa: PLC0415

    over = filters["cause"] or filters["actor"]
    now = system_clock()
    order = filters.pop("order")
    asked = filters | {"status": status or (None if over else WAITING)}
    with session.reading() as database:
        queries = Pauses(database)
        page: Page[Pause] = queries.list_pauses(**asked, order=order or "-paused")
        if order is None and filters["cursor"] is None and not over:
            page = _overdue_first(queries, page, asked, now)
    if session.as_json:
        items: list[Any] = [
            asdict(pause)
            | {"overdue": _is_overdue(pause, now), "left_seconds": _left_s(pause, now)}
            for pause in page.items
        ]
        print_page(session, replace(page, items=items), _COLUMNS, lambda _: (), as_csv=as_csv)
        return
    print_page(session, page, _COLUMNS, lambda pause: _row(pause, now), as_csv=as_csv)


def _overdue_first(
    queries: Pauses, page: Page[Pause], asked: dict[str, Any], now: datetime
) -> Page[Pause]:
    """Put the overdue pauses, the earliest first, before the others of the first page."""
    if "open" not in asked["status"]:
        return page
    until = min(filter(None, (asked["expiring_before"], now)))
    overdue = queries.list_pauses(
        **asked | {"status": "open", "expiring_before": until}, order="expires"
    ).items
    shown = {(pause.run_id, pause.version) for pause in overdue}
    others = [pause for pause in page.items if (pause.run_id, pause.version) not in shown]
    return replace(page, items=[*overdue, *others])


def _is_overdue(pause: Pause, now: datetime) -> bool:
    return pause.status == "open" and pause.expires_at is not None and pause.expires_at <= now


def _left_s(pause: Pause, now: datetime) -> float | None:
    """Give how long the window lasts still; below 0 when it is overdue."""
    if pause.status != "open" or pause.expires_at is None:
        return None
    return (pause.expires_at - now).total_seconds()


def _countdown(pause: Pause, now: datetime) -> str | None:
    left_s = _left_s(pause, now)
    if left_s is None:
        return None
    from replay.axis import duration  # noqa: PLC0415

    length = duration(round(abs(left_s) * 1_000))
    return length if left_s > 0 else f"-{length}"


_COLUMNS = (
    "run",
    "pause",
    "reason",
    "status",
    "left",
    "paused",
    "expires",
    "on expiry",
    "waited s",
    "by",
)


def _row(pause: Pause, now: datetime) -> tuple[Cell, ...]:
    overdue = _is_overdue(pause, now)
    return (
        pause.run_id,
        pause.pause_id,
        pause.reason,
        pause.status + (", overdue" if overdue else ", late" if pause.late else ""),
        _countdown(pause, now),
        pause.paused_at,
        pause.expires_at,
        pause.on_expiry,
        pause.waited_seconds,
        pause.actor or pause.cause,
    )
