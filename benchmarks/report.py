"""Shows figures as a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from benchmarks.harness import Figure

_COLUMNS = ("", "a second", "floor", "ratio", "min–max", "target")


def table(figures: Sequence[Figure]) -> Iterable[str]:
    """Give the lines of a table, a block for each subject and floor."""
    for (subject, floor), block in groupby(figures, lambda f: (f.subject, f.floor)):
        shown = list(block)
        yield ""
        yield f"{subject} ({shown[0].unit}), against {floor}"
        rows = [_COLUMNS, *map(_row, shown)]
        widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            yield "  " + "  ".join(cells).rstrip()


def _row(figure: Figure) -> tuple[str, ...]:
    target = "" if figure.target is None else f"≥ {figure.target:g}"
    if figure.target is not None and not figure.is_met:
        target += " missed"
    return (
        figure.name,
        f"{statistics.median(figure.rates):,.0f}",
        f"{statistics.median(figure.floor_rates):,.0f}",
        f"{figure.ratio:.2f}",
        f"{min(figure.ratios):.2f}–{max(figure.ratios):.2f}",
        target,
    )


def facts(of: Mapping[str, object]) -> Iterable[str]:
    """Give a line for each fact."""
    return (f"  {name}: {value}" for name, value in of.items())
