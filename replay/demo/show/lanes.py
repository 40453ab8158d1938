"""All runs of a demo at a glance: one line each, with its nodes and pauses as coloured pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from eventstore.clock import to_ms
from projections import Span
from replay.axis import Scale
from replay.bars import ASCII, QUIET, UNICODE, Glyphs, Line, joined, style_of
from replay.demo.view import Seen

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

NAME_CELLS = 10
STATUS_CELLS = 14
MIN_CELLS = 12

COLOURS = {"stock": "blue", "risk": "magenta", "charge": "cyan", "ship": "green"}
BODIES = {UNICODE: "█▓", ASCII: "#="}
ENDS = {
    "completed": ("✔", "green"),
    "failed": ("✖", "red"),
    "aborted": ("⊘", "magenta"),
    "paused": ("◐", "yellow"),
    "running": ("●", "bright_blue"),
    "pending": ("○", QUIET),
}


@dataclass(frozen=True, slots=True)
class Lanes:
    """Draws runs over one axis of time, from the first node's start to ``until`` or beyond."""

    runs: Sequence[Seen]
    until: datetime
    least_ms: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415 - only who draws pays for rich

        if not self.runs:
            return
        glyphs = ASCII if options.ascii_only else UNICODE
        plain = console.no_color or console.color_system is None
        starts = [span.start for seen in self.runs for span in seen.spans]
        start_ms = to_ms(min(starts, default=self.until))
        length_ms = max(self.least_ms, to_ms(self.until) - start_ms)
        cells = max(MIN_CELLS, options.max_width - NAME_CELLS - STATUS_CELLS - 2)
        scale = Scale(start_ms, length_ms, cells)
        for seen in self.runs:
            pieces = lane(seen.spans, scale, self.until, glyphs, plain=plain)
            name = (f"{seen.run.run_id:<{NAME_CELLS}.{NAME_CELLS}} ", "")
            yield Text.assemble(name, *pieces, (" ", ""), status(seen, glyphs), no_wrap=True)
        for line in scale.axis(glyphs.axis, glyphs.tick):
            yield Text(" " * (NAME_CELLS + 1) + line, style=QUIET, no_wrap=True)


def status(seen: Seen, glyphs: Glyphs) -> tuple[str, str]:
    """Say in a word how a run stands."""
    pause = seen.open_pause
    symbol, style = ENDS[seen.run.status]
    word = "parked" if pause and pause.status == "expired" else seen.run.status
    return (f"{symbol} {word}" if glyphs is UNICODE else word, style)


def lane(
    spans: Iterable[Span], scale: Scale, until: datetime, glyphs: Glyphs, *, plain: bool
) -> Line:
    """Draw one run's nodes and pauses on one line; what goes on reaches to ``until``."""
    drawn = [(" ", "")] * scale.cells
    for span in spans:
        if span.kind != "call":
            first, after = scale.reach(span if span.end else replace(span, end=until))
            text = _piece(span, after - first, glyphs, plain=plain)
            drawn[first:after] = [(character, _style(span, plain=plain)) for character in text]
    return joined(drawn)


def _piece(span: Span, length: int, glyphs: Glyphs, *, plain: bool) -> str:
    """Fill a piece, with its name in it where there is room."""
    body, name = _body(span.id, glyphs) if plain else " ", span.id
    if span.kind == "pause":
        body, name = glyphs.pause, "parked" if span.status == "expired" else "waits"
    if span.status == "restarted":
        body, name = glyphs.lost, "lost"
    if span.status == "failed":
        return (body * length)[:-1] + glyphs.failed
    return f" {name} ".center(length, body) if length >= len(name) + 2 else body * length


def _body(node_id: str, glyphs: Glyphs) -> str:
    """Tell neighbours apart where there are no colours."""
    odd = [*COLOURS].index(node_id) % 2 if node_id in COLOURS else 0
    return BODIES[glyphs][odd]


def _style(span: Span, *, plain: bool) -> str:
    if span.kind == "pause" or span.status == "restarted":
        return style_of(span)
    colour = "red" if span.status == "failed" else COLOURS.get(span.id, "white")
    return "" if plain else f"black on {colour}"
