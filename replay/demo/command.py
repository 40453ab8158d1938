"""``runstore demo``."""

from __future__ import annotations

import json
import sys
from io import TextIOWrapper
from pathlib import Path

import click

from replay.demo.orders import MAX_ORDERS


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".runstore",
    show_default=True,
    help="Where the embedded server and the read side lie.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, MAX_ORDERS),
    default=16,
    show_default=True,
    help="How many orders are placed.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Makes the same orders again.")
@click.option("--quick", is_flag=True, help="Shorten all waiting.")
@click.option("--json", "as_json", is_flag=True, help="Print only the facts, for programs.")
def demo(folder: Path, runs: int, seed: int, *, quick: bool, as_json: bool) -> None:
    """Run a small workflow in several processes, kill some of them, and see what became of it.

    Orders are checked, scored, approved, paid and shipped. Some wait for an approval that never
    comes. It runs on the folder's own server, wherever RUNSTORE_REDIS_URL points. The exit code
    is 0 if every run ended exactly as it should.
    """
    from rich.console import Console  # noqa: PLC0415 - what is heavy is imported when it is used

    from replay.demo.demo import run_demo  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our symbols shows others
    facts = run_demo(
        folder, runs=runs, seed=seed, quick=quick, console=None if as_json else Console()
    )
    if as_json:
        click.echo(json.dumps(facts.as_json(), indent=2))
    raise SystemExit(0 if facts.ok else 1)
