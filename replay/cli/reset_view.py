"""Resets of consumer groups as people and programs see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from replay.cli.group_view import UNKNOWN, text_of
from replay.cli.output import table

if TYPE_CHECKING:
    from eventstore.groups.status import Reset


def reset_as_json(done: Reset) -> dict[str, Any]:
    """Give what a reset did: positions as text, totals beside the partitions."""
    moves = [
        asdict(move) | {"came_from": text_of(move.came_from), "goes_to": str(move.goes_to)}
        for move in done.moves
    ]
    return asdict(done) | {"moves": moves, "again": done.again, "skipped": done.skipped}


def print_reset(done: Reset) -> None:
    """Print what a reset did, or would do."""
    table(
        ("partition", "from", "to", "again", "skipped", "in hand"),
        [
            (
                move.partition,
                text_of(move.came_from) or UNKNOWN,
                str(move.goes_to),
                move.again,
                move.skipped,
                move.dropped,
            )
            for move in done.moves
        ],
    )
    click.echo(
        f"group {done.group} {'would go' if done.dry_run else 'goes'} on from {done.to}: "
        f"{done.again:,} events again, {done.skipped:,} skipped"
    )
