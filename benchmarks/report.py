"""Shows figures as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from benchmarks.harness import Figure

_HEADS = ("", "a second", "floor", "ratio", "range", "target", "client µs", "server µs")


def table(figures: Sequence[Figure]) -> Iterable[str]:
    """Give the lines of a table, a block for each floor."""
    for (subject, floor, unit), block in groupby(figures, lambda f: (f.subject, f.floor, f.unit)):
        rows = [_HEADS, *map(_cells, block)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        yield ""
        yield f"{subject}: {unit} a second, against {floor}"
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            yield "  ".join(["", row[0].ljust(widths[0]), *cells])


def _cells(figure: Figure) -> tuple[str, ...]:
    target = "" if figure.target is None else f"≥ {figure.target:g}"
    return (
        figure.name,
        f"{figure.rate:,.0f}",
        f"{figure.floor_rate:,.0f}",
        f"{figure.ratio:.2f}",
        f"{min(figure.ratios):.2f}-{max(figure.ratios):.2f}",
        target if figure.is_met else f"{target} missed",
        f"{figure.client_us:,.1f}",
        f"{figure.server_us:,.1f}",
    )


def facts(found: Mapping[str, object]) -> Iterable[str]:
    """Give a line for each further fact."""
    return (f"  {name}: {fact}" for name, fact in found.items())
