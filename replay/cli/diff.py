"""``runstore diff``."""

from __future__ import annotations

from datetime import datetime

import click

from replay.cli.options import Command, VersionOrMoment
from replay.cli.output import emit, note, table, to_json
from replay.cli.session import Session
from replay.cli.snapshots import traveling


@click.command(cls=Command)
@click.argument("run")
@click.argument("a", type=VersionOrMoment())
@click.argument("b", type=VersionOrMoment(), required=False)
@click.option("--all", "whole", is_flag=True, help="Nodes, pauses and the rest too.")
@click.pass_obj
def diff(
    session: Session, run: str, a: int | datetime, b: int | datetime | None, *, whole: bool
) -> None:
    """Show what differs in a run's state between two versions or times.

    Without B it is compared as it is now. Paths are JSON Pointers.
    """
    with session.store() as store, traveling(session, store) as travel:
        changes = travel.diff(run, a, b)
    shown = [one for one in changes if whole or one.path[0] in ("state", "status")]
    if session.as_json:
        emit(
            {
                "items": [
                    {"path": one.pointer, "kind": one.kind, "old": one.old, "new": one.new}
                    for one in shown
                ],
                "next_cursor": None,
            }
        )
        return
    table(
        ("path", "kind", "old", "new"),
        [
            (
                one.pointer,
                one.kind,
                "" if one.kind == "added" else to_json(one.old),
                "" if one.kind == "removed" else to_json(one.new),
            )
            for one in shown
        ],
    )
    if len(shown) < len(changes):
        note(f"{len(changes) - len(shown):,} more differ beside state and status; --all shows them")
