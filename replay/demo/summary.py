"""The last screen of a demo: what became of the runs, some of them closer, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from replay.bars import QUIET, render
from replay.demo import orders
from replay.demo.facts import Facts
from replay.demo.lanes import ENDS, Lanes
from replay.demo.orders import Order
from replay.demo.view import Seen, View

CLOSER = (orders.RESTORED, orders.LATE, orders.APPROVED, orders.REFUSED, orders.TIMED_OUT)
MAX_CLOSER = 5
MAX_WIDTH = 120


def show_summary(console: Console, facts: Facts, view: View, placed: dict[str, Order]) -> None:
    """Print the last screen."""
    width = min(console.width, MAX_WIDTH)
    last = max((seen.last.occurred_at for seen in view.seen.values()), default=None)
    if last:
        console.print(Lanes(list(view.seen.values()), last, 1), width=width)
    console.print()
    for run_id, why in closer(facts, placed):
        _show_run(console, view.seen[run_id], why, width)
    _show_counts(console, facts)
    _show_checks(console, facts)
    if facts.ok:
        _show_next(console, facts, placed)


def closer(facts: Facts, placed: dict[str, Order]) -> Iterator[tuple[str, str]]:
    """Choose the runs worth a closer look, and say why."""
    chosen: dict[str, str] = {}
    for run_id in facts.recovered[:1]:
        chosen[run_id] = f"its worker was killed; another went on. {placed[run_id].story.title}"
    for story in CLOSER:
        told = [run_id for run_id, order in placed.items() if order.story is story]
        fresh = [run_id for run_id in told if run_id not in chosen]
        if fresh and len(chosen) < MAX_CLOSER:
            chosen[fresh[0]] = story.title
    yield from chosen.items()


def _show_run(console: Console, seen: Seen, why: str, width: int) -> None:
    _, style = ENDS[seen.run.status]
    title = Text.assemble((seen.run.run_id, f"bold {style}"), "  ", (why, ""))
    console.print(title, width=width)
    console.print(Padding(render(seen.spans, width=width - 2), (0, 0, 1, 2)), width=width)


def _show_counts(console: Console, facts: Facts) -> None:
    for status, (symbol, style) in ENDS.items():
        count = facts.counts.get(status, 0)
        if count:
            console.print(Text(f"{symbol} {count:>3} {status}", style=style))
    console.print()


def _show_checks(console: Console, facts: Facts) -> None:
    for problem in facts.differs:
        console.print(Text(f"✖ {problem}", style="bold red"))
    if facts.ok:
        killed = " and ".join(facts.killed) or "nothing"
        taken = ", ".join(facts.recovered) or "no run"
        size = f"{len(facts.runs)} runs, {facts.events} events in {facts.seconds:.1f} s"
        for line in (
            f"{size}: each run ended as planned, versions without a gap",
            f"killed with SIGKILL: {killed}; taken over: {taken}; no step was done twice",
            "each window took effect once, each restored run has its context back",
        ):
            console.print(Text.assemble(("✔ ", "green"), line))


def _show_next(console: Console, facts: Facts, placed: dict[str, Order]) -> None:
    folder = "" if Path(facts.folder).name == ".runstore" else f" --folder {facts.folder}"
    story = {order.story: run_id for run_id, order in placed.items()}
    console.print(Rule("try next", style=QUIET, align="left"))
    for command in (
        "runs list",
        f"timeline {next(closer(facts, placed))[0]} --bars",
        *([f"resume {story[orders.PARKED]}"] if orders.PARKED in story else []),
    ):
        console.print(Text(f"  runstore {command}{folder}", style="bold cyan"))
