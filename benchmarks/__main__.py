"""Runs the benchmarks: ``python -m benchmarks [--quick] [--json FILE] [--only NAME…]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import appending
from benchmarks.harness import Contest, Figure, Ground, measure
from benchmarks.machine import machine
from benchmarks.report import facts, table
from benchmarks.servers import serving

SUBJECTS: dict[str, Callable[[Ground], Iterator[Contest]]] = {
    "appending": appending.contests,
}
ROUNDS = 7
QUICK_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and give the exit code: 1 for a gross regression."""
    asked = _parser().parse_args(arguments)
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    with serving(asked.server) as url, tempfile.TemporaryDirectory(prefix="runstore-") as folder:
        on = machine(url)
        print(*(f"{name}: {value}" for name, value in on.items()), sep="\n")
        ground = Ground(url, Path(folder), quick=asked.quick, data=asked.data)
        results = list(_measured(ground, asked.only or SUBJECTS, rounds))
    if asked.json:
        _write(asked.json, on, results, quick=asked.quick)
    return _verdict([figure for _, figures in results for figure in figures])


def _measured(
    ground: Ground, names: Sequence[str], rounds: int
) -> Iterator[tuple[Contest, list[Figure]]]:
    for name in names:
        for contest in SUBJECTS[name](ground):
            figures = measure(contest, rounds)
            print(*table(figures), *facts(contest.facts), sep="\n", flush=True)
            yield contest, figures


def _write(
    path: Path, on: dict[str, str], results: list[tuple[Contest, list[Figure]]], *, quick: bool
) -> None:
    report: dict[str, Any] = {
        "machine": on,
        "quick": quick,
        "figures": [figure.as_json() for _, figures in results for figure in figures],
        "facts": {contest.subject: contest.facts for contest, _ in results if contest.facts},
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _verdict(figures: Sequence[Figure]) -> int:
    gross = [figure for figure in figures if figure.is_gross]
    for figure in gross:
        print(
            f"{figure.subject}, {figure.name}: {figure.ratio:.2f} is less than half of the "
            f"target {figure.target:g}",
            file=sys.stderr,
        )
    return 1 if gross else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, in 40 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", help="these alone")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} rounds, {QUICK_ROUNDS} when quick")
    parser.add_argument("--server", default="valkey", help="valkey, redis7 or a URL")
    parser.add_argument("--data", type=Path, help="histories to import (JSONL, also gzip)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
