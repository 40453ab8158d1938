"""The last screen of a demo: what became of the runs, some of them closer, and what to try."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from eventstore.settings import URL_VARIABLE
from replay.bars import QUIET, render
from replay.demo import orders
from replay.demo.facts import Facts
from replay.demo.orders import Order
from replay.demo.show.lanes import ENDS, Lanes
from replay.demo.view import Seen, View

CLOSER = (orders.RESTORED, orders.LATE, orders.REFUSED, orders.APPROVED, orders.TIMED_OUT)
MAX_CLOSER = 4
MAX_WIDTH = 140
MIN_WIDTH_OF_TWO = 110
GAP = 4

Placed = dict[str, Order]


def show_summary(console: Console, facts: Facts, view: View, placed: Placed) -> None:
    """Print the last screen."""
    width = min(console.width, MAX_WIDTH)
    runs = list(view.seen.values())
    if runs:
        last = max(seen.last.occurred_at for seen in runs)
        console.print(Lanes(runs, last, least_ms=1), width=width)
        console.print("\nSome of them, closer:\n")
        console.print(_closer(view, facts, placed, width))
    console.print(_counts(facts), soft_wrap=True)
    for line in _checks(facts):
        console.print(line, soft_wrap=True)
    if facts.ok:
        console.print("", Rule("try next", style=QUIET, align="left"), sep="\n")
        for command, why in _next(facts, placed).items():
            line = Text.assemble((f"  {command:<36}", "bold cyan"), (f"  # {why}", QUIET))
            console.print(line, soft_wrap=True)


def chosen(facts: Facts, placed: Placed) -> dict[str, str]:
    """Choose the runs worth a closer look, and say why."""
    runs = dict.fromkeys(facts.recovered[:1], "its worker was killed, another went on")
    for story in CLOSER:
        told = [run_id for run_id, order in placed.items() if order.story is story]
        fresh = [run_id for run_id in told if run_id not in runs]
        if fresh and len(runs) < MAX_CLOSER:
            runs[fresh[0]] = story.title
    return runs


def _closer(view: View, facts: Facts, placed: Placed, width: int) -> RenderableType:
    columns = 2 if width >= MIN_WIDTH_OF_TWO else 1
    each = (width - GAP * (columns - 1)) // columns
    charts = [_chart(view.seen[run_id], why, each) for run_id, why in chosen(facts, placed).items()]
    if columns == 1:
        return Group(*charts)
    table = Table.grid(padding=(0, GAP, 0, 0))
    for place in range(0, len(charts), columns):
        table.add_row(*charts[place : place + columns])
    return table


def _chart(seen: Seen, why: str, width: int) -> RenderableType:
    title = Text.assemble((seen.run.run_id, f"bold {ENDS[seen.run.status][1]}"), f"  {why}")
    return Group(title, render(seen.spans, width=width), "")


def _counts(facts: Facts) -> Text:
    parts = [
        (f"{symbol} {facts.counts[status]} {status}   ", f"bold {style}")
        for status, (symbol, style) in ENDS.items()
        if status in facts.counts
    ]
    return Text.assemble(*parts, f"of {len(facts.runs)} runs\n")


def _checks(facts: Facts) -> list[Text]:
    if not facts.ok:
        return [Text(f"✖ {problem}", style="bold red") for problem in facts.differs]
    killed = " and ".join(facts.killed) or "nobody"
    taken = len(facts.recovered)
    lines = (
        f"{facts.events} events in {facts.seconds:.1f} s, every run is as planned, nothing is lost",
        f"{killed} got SIGKILL: {taken} runs taken over, no finished step done again",
        "each pause window took effect once, each restored run had its context back",
    )
    return [Text.assemble(("✔ ", "bold green"), line) for line in lines]


def _next(facts: Facts, placed: Placed) -> dict[str, str]:
    folder = Path(facts.folder)
    where = "" if folder == Path(".runstore") else f" --folder {shlex.quote(str(folder))}"
    program = _command_name()
    if URL_VARIABLE in os.environ:
        program = f"env -u {URL_VARIABLE} {program}"
    parked = [run_id for run_id, order in placed.items() if order.story is orders.PARKED]
    commands = {"runs list": "every run, and how it stands"}
    for run_id in [*chosen(facts, placed)][:1]:
        commands[f"timeline {run_id} --bars"] = "its nodes, calls and pauses"
    for run_id in parked[:1]:
        commands[f"resume {run_id}"] = "its context is back; the next demo goes on with it"
    return {f"{program} {command}{where}": why for command, why in commands.items()}


def _command_name() -> str:
    """Give what a reader can type: a virtual environment need not be on the path."""
    called = Path(sys.argv[0])
    if called.name != "runstore" or shutil.which("runstore"):
        return "runstore"
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))
