"""``runstore state``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from replay.cli.options import Command, VersionOrMoment
from replay.cli.output import emit, facts, table, to_json
from replay.cli.session import Session
from replay.cli.snapshots import traveling

if TYPE_CHECKING:
    from projections import RunState


@click.command(cls=Command)
@click.argument("run")
@click.option("--at", type=VersionOrMoment(), help="A version, or a time by which it occurred.")
@click.pass_obj
def state(session: Session, run: str, at: int | datetime | None) -> None:
    """Show a run as of a version or time.

    It is folded from the run's events; nothing is written.
    """
    with session.store() as store, traveling(session, store) as travel:
        found = travel.state_at(run, at)
    if session.as_json:
        emit(found.shown())
    else:
        _print(found)


def _print(found: RunState) -> None:
    from eventstore.clock import from_ms  # noqa: PLC0415

    def moment(ms: int | None) -> datetime | None:
        return None if ms is None else from_ms(ms)

    facts(
        (
            ("run", found.run_id),
            ("workflow", found.workflow_id),
            ("version", found.version),
            ("status", "deleted" if found.deleted else found.status),
            ("created", moment(found.created_ms)),
            ("started", moment(found.started_ms)),
            ("updated", moment(found.updated_ms)),
            ("ended", moment(found.ended_ms)),
            ("paused in", ", ".join(found.pauses) or None),
            ("goes on at", None if found.resume_at is None else to_json(found.resume_at)),
        )
    )
    if found.nodes:
        click.echo()
        nodes = found.nodes.values()
        rows = [
            (n.node_id, n.label, n.status, n.attempts, moment(n.started_ms), moment(n.ended_ms))
            for n in nodes
        ]
        table(("node", "label", "status", "attempts", "started", "ended"), rows, "nodes")
    click.echo("\nstate")
    click.echo(to_json(found.state, indented=True))
