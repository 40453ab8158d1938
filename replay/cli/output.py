"""What commands print: tables for people, JSON for programs, progress on stderr."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import click

MAX_CELL_CHARACTERS = 200
MIN_LAST_CHARACTERS = 16
"""The last column of a drawn table may be cut down to so many."""
_GAP = 4
PIPE_CLOSED = 141
"""As a shell shows a program that SIGPIPE ended."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Cell = str | int | float | datetime | None
OnDone = Callable[[float], None]


def to_json(value: Any, *, indented: bool = False) -> str:
    """Write any result as JSON: times in UTC, positions as text."""
    import orjson  # noqa: PLC0415

    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indented else 0)
    return orjson.dumps(value, default=str, option=options).decode()


def emit(value: Any) -> None:
    """Print a result as one line of JSON."""
    click.echo(to_json(value))


def note(text: str) -> None:
    """Tell people something beside the result."""
    click.echo(text, err=True)


def shown(cell: Cell) -> str:
    """Write a value for people. What could command a terminal is replaced."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if cell.is_integer() else f"{cell:,.3f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return printable(cell[:MAX_CELL_CHARACTERS])


def printable(text: str) -> str:
    """Write a line for people. What could command a terminal is replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = "") -> None:
    """Print a table: drawn where a terminal has room for it, else in plain columns.

    Numbers stand right. A terminal gets no columns that are empty.
    """
    listed = [list(row) for row in rows]
    right = [any(isinstance(row[n], (int, float)) for row in listed) for n in range(len(columns))]
    texts = [[shown(cell) for cell in row] for row in listed]
    if not sys.stdout.isatty():
        _plain(columns, texts, right, title)
        return
    used = [n for n in range(len(columns)) if not texts or any(line[n] for line in texts)]
    columns, right = [columns[n] for n in used], [right[n] for n in used]
    _drawn(columns, [[line[n] for n in used] for line in texts], right, title)


def facts(pairs: Iterable[tuple[str, Cell]], title: str = "") -> None:
    """Print names and what they are; those that are nothing are left out."""
    table(("", ""), [(name, shown(value)) for name, value in pairs if value is not None], title)


def _plain(columns: Sequence[str], texts: list[list[str]], right: list[bool], title: str) -> None:
    lines = [list(columns), *texts] if any(columns) else texts
    widths = _widths(columns, texts)
    if title:
        click.echo(title)
    for line in lines:
        aligned = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        click.echo(("  " if title else "") + "  ".join(aligned).rstrip())


def _widths(columns: Sequence[str], texts: list[list[str]]) -> list[int]:
    return [max(len(line[n]) for line in [list(columns), *texts]) for n in range(len(columns))]


def _drawn(columns: Sequence[str], texts: list[list[str]], right: list[bool], title: str) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    room = [*_widths(columns, texts)[:-1], MIN_LAST_CHARACTERS]
    if sum(room) + _GAP * len(room) > console.width:  # ids cut in pieces could not be copied
        _plain(columns, texts, right, title)
        return
    drawn = Table(
        title=Text(title, "bold") if title else None,
        title_justify="left",
        show_header=any(columns),
        header_style="bold",
        box=SIMPLE_HEAD if any(columns) else None,
        padding=(0, 1),
    )
    for name, to_right in zip(columns, right, strict=True):
        last = name == columns[-1]
        drawn.add_column(
            Text(name),
            justify="right" if to_right else "left",
            overflow="ellipsis" if last else "fold",
            no_wrap=last,
        )
    for line in texts:
        drawn.add_row(*map(Text, line))
    console.print(drawn)


@contextmanager
def progress(label: str, total: float | None = None) -> Iterator[OnDone]:
    """Show on stderr how far something is, how fast it goes and what is left; only to people.

    Gives a function that takes what is done by now, out of ``total``.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    done = "{task.completed:,.0f} " + ("({task.percentage:.0f} %) " if total else "")
    counted = TextColumn(done + "{task.fields[rate]}")
    columns = [TextColumn("{task.description}"), BarColumn(), counted]
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        task = bars.add_task(label, total=total, rate="")

        def tell(done: float) -> None:
            speed = bars.tasks[0].speed
            bars.update(task, completed=done, rate=f"{speed:,.0f}/s" if speed else "")

        yield tell


def end_unread() -> NoReturn:
    """End the process quietly, because whoever read its output has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)  # for Python's own last flush
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    raise SystemExit(PIPE_CLOSED)
