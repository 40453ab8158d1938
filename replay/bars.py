"""A run's nodes, calls and pauses as horizontal bars over time: a Gantt chart for terminals.

>>> Console().print(render(Timeline(database).spans("order-7")))
check stock  ██                                           51 ms
score risk     ████████                                  203 ms
  risk model     ━━━━━                                   120 ms
approval               ░░░░░░░░░░░░░░░░░░░░             1.01 s  resumed
charge card                                ███✗██▶      254 ms  running x2
             ┬────────────┬────────────┬────────────┬───
             0            0.5 s        1 s          1.5 s

Colours repeat what the characters say, so that nothing is lost without them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from projections import Span
from replay.axis import Scale, duration

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

Piece = tuple[str, str]
"""Some characters, and the name of their style for rich."""
Line = list[Piece]

MIN_BAR_CELLS = 12
MIN_WIDTH_WITH_NOTES = 60
TIME_CELLS = 12
STATUS_CELLS = 15

STYLES = {
    "failed": "red",
    "running": "bright_blue",
    "restarted": "magenta",
    "skipped": "bright_black",
    "expired": "dark_orange",
}
"""Styles by status; for others, those of the kind."""
KIND_STYLES = {"node": "green", "call": "cyan", "pause": "yellow"}
QUIET = "bright_black"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a chart."""

    node: str
    call: str
    pause: str
    lost: str
    failed: str
    moment: str
    arrow: str
    more: str
    axis: str
    tick: str


UNICODE = Glyphs("█", "━", "░", "▒", "✗", "◆", "▶", "…", "─", "┬")
ASCII = Glyphs("#", "=", ":", "%", "x", "*", ">", "~", "-", "+")


@dataclass(slots=True)
class Row:
    """All spans of one node, call or pause, in the order they began."""

    kind: str
    label: str
    spans: list[Span] = field(default_factory=list)


def render(
    spans: Iterable[Span], *, width: int | None = None, now: datetime | None = None
) -> RenderableType:
    """Draw the spans of one run for a rich console, as wide as that or ``width`` cells.

    What still goes on is drawn to ``now``, else to just after the last thing known, and ends in
    an arrow. A console that can't show more gets ASCII.
    """
    return _Bars(list(spans), width, now)


@dataclass(frozen=True, slots=True)
class _Bars:
    spans: Sequence[Span]
    width: int | None
    now: datetime | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415 - only who draws pays for rich

        width = min(self.width or options.max_width, options.max_width)
        glyphs = ASCII if options.ascii_only else UNICODE
        for line in draw(self.spans, width, now=self.now, glyphs=glyphs):
            yield Text.assemble(*line, no_wrap=True, overflow="crop")


def draw(
    spans: Iterable[Span], width: int, *, now: datetime | None = None, glyphs: Glyphs = UNICODE
) -> list[Line]:
    """Give the chart of one run's spans as lines of styled pieces, none over ``width`` cells.

    Below 24 cells the lines may be longer.
    """
    rows = rows_of(spans)
    if not rows:
        return [[("no nodes, calls or pauses yet", QUIET)]]
    label_cells = min(max(cells(row.label) for row in rows), max(8, width // 3))
    note_cells = TIME_CELLS + STATUS_CELLS if width >= MIN_WIDTH_WITH_NOTES else 0
    bar_cells = max(MIN_BAR_CELLS, width - label_cells - 1 - note_cells)
    scale = Scale.over([span for row in rows for span in row.spans], bar_cells, now)
    lines = [
        [
            (fit(row.label, label_cells, glyphs) + " ", QUIET if row.kind == "call" else ""),
            *bar(row, scale, glyphs),
            *(_note(row, scale, glyphs) if note_cells else ()),
        ]
        for row in rows
    ]
    margin = " " * (label_cells + 1)
    axis = scale.axis(glyphs.axis, glyphs.tick)
    return [*lines, *([(margin, ""), (line, QUIET)] for line in axis)]


def rows_of(spans: Iterable[Span]) -> list[Row]:
    """Put the spans of each node, call and pause into a row, ordered by their first start."""
    rows: dict[tuple[str, str], Row] = {}
    for span in sorted(spans, key=lambda span: span.start):
        label = ("  " if span.kind == "call" else "") + printable(span.label or span.id)
        row = rows.setdefault((span.kind, span.id), Row(span.kind, label))
        row.spans.append(span)
    return list(rows.values())


def bar(row: Row, scale: Scale, glyphs: Glyphs = UNICODE) -> Line:
    """Draw a row's spans, in exactly ``scale.cells`` cells."""
    drawn = [(" ", "")] * scale.cells
    for span in row.spans:
        first, after = scale.reach(span)
        texture = _texture(span, after - first, glyphs)
        drawn[first:after] = [(character, style_of(span)) for character in texture]
    return joined(drawn)


def style_of(span: Span) -> str:
    """Give the colour of a span."""
    return STYLES.get(span.status, KIND_STYLES[span.kind])


def _texture(span: Span, length: int, glyphs: Glyphs) -> str:
    body = {"node": glyphs.node, "call": glyphs.call, "pause": glyphs.pause}[span.kind]
    if span.end is None:
        return body * (length - 1) + glyphs.arrow
    if span.status == "restarted":
        return glyphs.lost * length
    if span.status == "failed":
        return body * (length - 1) + glyphs.failed
    return glyphs.moment if span.end == span.start else body * length


def _note(row: Row, scale: Scale, glyphs: Glyphs) -> Iterator[Piece]:
    """Tell how long it took and, unless it simply completed, what became of it."""
    last, times = row.spans[-1], len(row.spans)
    took = duration(sum(map(scale.lasted_ms, row.spans)))
    yield f"{took:>{TIME_CELLS}}", ""
    if times > 1 or last.status != "completed":
        status = f"  {last.status}" + (f" x{times}" if times > 1 else "")
        yield fit(status, STATUS_CELLS, glyphs).rstrip(), style_of(last)


def joined(drawn: Iterable[Piece]) -> Line:
    """Put neighbours of one style together."""
    groups = groupby(drawn, key=itemgetter(1))
    return [("".join(text for text, _ in group), style) for style, group in groups]


def printable(text: str) -> str:
    """Replace what would move the cursor or change the terminal: labels come from users."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cells(text: str) -> int:
    """Count the cells that a text takes in a terminal."""
    return sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int, glyphs: Glyphs = UNICODE) -> str:
    """Pad or cut a text to exactly ``width`` cells."""
    if cells(text) > width:
        while cells(text) > width - 1:
            text = text[:-1]
        text += glyphs.more
    return text + " " * (width - cells(text))
