"""Measures what the project costs, as ratios to floors measured in the same run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    appending,
    archiving,
    consuming,
    crowding,
    expiring,
    importing,
    loading,
    projecting,
    querying,
    rebuilding,
    restoring,
    retaining,
    returning,
    signalling,
    waking,
)
from benchmarks.ground import Ground
from benchmarks.harness import GUARD, Contest, Figure, measure
from benchmarks.machine import machine
from benchmarks.report import facts, table
from benchmarks.servers import busy_of, serving

SUBJECTS: dict[str, Callable[[Ground], Iterator[Contest]]] = {
    "appending": appending.contests,
    "crowding": crowding.contests,
    "loading": loading.contests,
    "projecting": projecting.contests,
    "rebuilding": rebuilding.contests,
    "archiving": archiving.contests,
    "querying": querying.contests,
    "importing": importing.contests,
    "restoring": restoring.contests,
    "expiring": expiring.contests,
    "signalling": signalling.contests,
    "retaining": retaining.contests,
    "returning": returning.contests,
    "consuming": consuming.contests,
    "waking": waking.contests,
}
ROUNDS = 9
QUICK_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; give the exit code: 1 if a figure is far below its target."""
    asked = _parser().parse_args(arguments)
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    with (
        serving(asked.server, asked.processors) as url,
        tempfile.TemporaryDirectory(prefix="runstore-") as folder,
    ):
        on = machine(url) | {"processors": asked.processors}
        print(*(f"{name}: {fact}" for name, fact in on.items()), sep="\n")
        ground = Ground(url, Path(folder), quick=asked.quick, data=asked.data)
        figures: list[Figure] = []
        found: dict[str, Any] = {}
        for contest in _contests(ground, asked.only or SUBJECTS):
            figures += _measured(ground, contest, rounds)
            found[contest.subject] = contest.facts()
            print(*facts(found[contest.subject]), sep="\n", flush=True)
    if asked.json:
        report = {"machine": on, "quick": asked.quick, "rounds": rounds, "facts": found}
        report["figures"] = [figure.as_json() for figure in figures]
        asked.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return _verdict(figures)


def _contests(ground: Ground, names: Iterable[str]) -> Iterator[Contest]:
    for name in names:
        yield from SUBJECTS[name](ground)


def _measured(ground: Ground, contest: Contest, rounds: int) -> list[Figure]:
    with ground.client() as client:
        figures = measure(contest, rounds, busy_of(client))
    print(*table(figures), sep="\n", flush=True)
    return figures


def _verdict(figures: Sequence[Figure]) -> int:
    gross = [figure for figure in figures if figure.is_gross]
    for figure in gross:
        print(
            f"{figure.subject}, {figure.name}: {figure.ratio:.2f} is below {GUARD:.0%} of the "
            f"target {figure.target:g}: look at what changed",
            file=sys.stderr,
        )
    return 1 if gross else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for CI")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", help="these alone")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"{ROUNDS}, or {QUICK_ROUNDS}")
    parser.add_argument("--server", default="valkey", help="valkey, redis7 or a URL")
    parser.add_argument(
        "--processors", choices=["apart", "free"], default="apart", help="server on its own, or not"
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="histories to import (JSONL)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
