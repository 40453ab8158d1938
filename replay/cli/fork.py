"""``runstore fork`` and ``runstore rerun``: another run that begins as one did."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import Command, JsonObject, VersionOrMoment
from replay.cli.output import emit, note
from replay.cli.session import Session

if TYPE_CHECKING:
    from replay import Fork

PATCH = click.option(
    "--patch", type=JsonObject(), help="A JSON object that goes into the new run's state."
)
ACTOR = click.option("--actor", metavar="NAME", help="Who patches it.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")


@click.command(cls=Command)
@click.argument("run")
@click.argument("new")
@click.option("--at", type=VersionOrMoment(), help="A version, or a time; all of it by default.")
@PATCH
@ACTOR
@DRY_RUN
@click.pass_obj
def fork(
    session: Session,
    run: str,
    new: str,
    *,
    at: int | datetime | None,
    patch: dict[str, Any] | None,
    actor: str | None,
    dry_run: bool,
) -> None:
    """Begin the run NEW with RUN's events up to a version or time.

    NEW names RUN as its parent, and goes on alone. The same call again finds its own fork.
    """
    from replay import SyncTimeTravel  # noqa: PLC0415

    with session.store() as store:
        made = SyncTimeTravel(store).fork(run, at, new, patch, actor=actor, dry_run=dry_run)
    _print(session, made, dry_run=dry_run)


@click.command(cls=Command)
@click.argument("run")
@click.argument("node")
@click.argument("new")
@click.option("--keep", multiple=True, metavar="NODE", help="A node whose events all come along.")
@PATCH
@ACTOR
@DRY_RUN
@click.pass_obj
def rerun(
    session: Session,
    run: str,
    node: str,
    new: str,
    *,
    keep: tuple[str, ...],
    patch: dict[str, Any] | None,
    actor: str | None,
    dry_run: bool,
) -> None:
    """Begin the run NEW as RUN was before NODE, to run NODE and what came of it again.

    Later events of other nodes come along where they do not come of NODE, as far as their causes
    and inputs tell.
    """
    from replay import SyncTimeTravel  # noqa: PLC0415

    with session.store() as store:
        made = SyncTimeTravel(store).rerun_from(
            run, node, new, keep=keep, patch=patch, actor=actor, dry_run=dry_run
        )
    _print(session, made, dry_run=dry_run)


def _print(session: Session, made: Fork, *, dry_run: bool) -> None:
    if session.as_json:
        emit(asdict(made) | {"dry_run": dry_run})
        return
    there = "is already" if made.already_there else "would be" if dry_run else "is"
    click.echo(
        f"{made.run_id} {there} a fork of {made.parent} at version {made.parent_version}: "
        f"{made.events:,} events copied, now at version {made.version}"
    )
    for what, nodes in (("cleared", made.cleared), ("kept", made.kept)):
        if nodes:
            note(f"{what}: {', '.join(nodes)}")
