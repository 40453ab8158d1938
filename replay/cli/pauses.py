"""``runstore pauses``: who waits for what, and how long still."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from replay.cli.listing import CSV, print_page
from replay.cli.options import CURSOR, LIMIT, Command, Moment
from replay.cli.output import Cell
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Page, Pause, Pauses


_OVERDUE, _OTHERS = "overdue", "others"
_CURSOR = re.compile(rf"({_OVERDUE}|{_OTHERS})\.(\d{{1,14}})\.([\w-]*)", re.ASCII)


class _Place(NamedTuple):
    """Where a page begins in a list of two parts: those overdue at a moment, and the others."""

    part: str
    now: datetime
    cursor: str | None

    @property
    def text(self) -> str:
        """The cursor that leads here."""
        from eventstore.clock import to_ms  # noqa: PLC0415

        return f"{self.part}.{to_ms(self.now)}.{self.cursor or ''}"


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

    A pause is overdue when its window is over and nothing was done about it: see restore. Those
    come first, unless an order is asked for.
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
        place = None if order or over else _place(filters["cursor"], now)
        page: Page[Pause] = (
            _overdue_first(queries, asked, place)
            if place and "open" in asked["status"]
            else queries.list_pauses(**asked, order=order or "-paused")
        )
    if session.as_json:
        items: list[Any] = [
            asdict(pause)
            | {"overdue": _is_overdue(pause, now), "left_seconds": _left_s(pause, now)}
            for pause in page.items
        ]
        print_page(session, replace(page, items=items), _COLUMNS, lambda _: (), as_csv=as_csv)
        return
    print_page(session, page, _COLUMNS, lambda pause: _row(pause, now), as_csv=as_csv)


def _place(cursor: str | None, now: datetime) -> _Place | None:
    """Tell where a page begins; None for a cursor of a list in one part."""
    from eventstore.clock import from_ms, to_ms  # noqa: PLC0415

    if cursor is None:
        return _Place(_OVERDUE, from_ms(to_ms(now)), None)
    found = _CURSOR.fullmatch(cursor)
    return found and _Place(found[1], from_ms(int(found[2])), found[3] or None)


def _overdue_first(queries: Pauses, asked: dict[str, Any], place: _Place) -> Page[Pause]:
    """List the pauses that were overdue when the first page was asked for, then the others.

    The overdue ones come the earliest first. What ``list_pauses`` gives of either part goes on
    by its own cursor, so no pause comes twice.
    """
    items: list[Pause] = []
    part, now, cursor = place
    if part == _OVERDUE:
        until = min(filter(None, (asked["expiring_before"], now + timedelta(milliseconds=1))))
        own = {"status": "open", "expiring_before": until, "cursor": cursor}
        page = queries.list_pauses(**asked | own, order="expires")
        items, cursor = list(page.items), page.next_cursor
        if cursor:
            return replace(page, next_cursor=_Place(part, now, cursor).text, previous_cursor=None)
    while (room := asked["limit"] - len(items)) > 0:
        page = queries.list_pauses(**asked | {"limit": room, "cursor": cursor}, order="-paused")
        items += [pause for pause in page.items if not _is_overdue(pause, now)]
        cursor = page.next_cursor
        if cursor is None:
            return replace(page, items=items, previous_cursor=None)
    text = _Place(_OTHERS, now, cursor).text
    return replace(page, items=items, next_cursor=text, previous_cursor=None)


def status_of(pause: Pause, now: datetime) -> str:
    """Say how a pause stands, and whether its window was over when it was resumed, or is now."""
    over = ", overdue" if _is_overdue(pause, now) else ", late" if pause.late else ""
    return pause.status + over


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
    return (
        pause.run_id,
        pause.pause_id,
        pause.reason,
        status_of(pause, now),
        _countdown(pause, now),
        pause.paused_at,
        pause.expires_at,
        pause.on_expiry,
        pause.waited_seconds,
        pause.actor or pause.cause,
    )
