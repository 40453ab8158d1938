"""How lists are printed: a table, JSON, or CSV; once, or again whenever they change."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.output import Cell, emit, note, shown, table, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Page

MAX_EVERY_S = 3_600.0
CLEAR = "\x1b[2J\x1b[H"

CSV = click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every field, times in UTC.")
EVERY = click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.05, MAX_EVERY_S),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look for something new.",
)

Row = Callable[[Any], Sequence[Cell]]


def print_page(
    session: Session, page: Page[Any], columns: Sequence[str], row: Row, *, as_csv: bool = False
) -> None:
    """Print a page in the way that was asked for; people are told how to see the others."""
    if session.as_json:
        cursors = {"next_cursor": page.next_cursor, "previous_cursor": page.previous_cursor}
        emit({"items": page.items, **cursors})
        return
    if as_csv:
        print_csv(page.items)
    else:
        table(columns, [row(item) for item in page.items])
    if page.next_cursor:
        note(f"there is more: add --cursor {page.next_cursor}")
    if page.previous_cursor:
        note(f"the page before: --cursor {page.previous_cursor}")


def print_csv(items: Iterable[Any], *, header: bool = True) -> None:
    """Print items of one kind as CSV; what is nested stands as JSON."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for item in items:
        values = asdict(item) if is_dataclass(item) and not isinstance(item, type) else item
        if header:
            writer.writerow(values)
            header = False
        writer.writerow(map(_plain, values.values()))


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (dict, list, bool)):
        return to_json(value)
    if isinstance(value, str) and sys.stdout.isatty():
        return shown(value)
    return value


def watch(ask: Callable[[], Any], draw: Callable[[Any], None], every_s: float) -> None:
    """Ask again and again, and draw the answer whenever it is another, until interrupted.

    A terminal is cleared before each; elsewhere they come one below the other.
    """
    last: Any = object()
    while True:
        found = ask()
        if found != last:
            if sys.stdout.isatty():
                click.echo(CLEAR, nl=False)
            draw(found)
            sys.stdout.flush()
            last = found
        time.sleep(every_s)
