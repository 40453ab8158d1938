"""``runstore runs list`` and ``runstore runs show``."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import CURSOR, LIMIT, Group, Label, Moment
from replay.cli.output import emit, emit_page, facts, note_more, table, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Node, Pause, RunDetails


@click.group(cls=Group)
def runs() -> None:
    """List runs, and show one."""


def _times(command: Any) -> Any:
    """Add the options for the ranges of times."""
    for what in ("ended", "updated", "created"):
        for when in ("before", "after"):
            bound = "Only runs {} {} TIME.".format(what, "from" if when == "after" else "before")
            option = click.option(f"--{what}-{when}", type=Moment(), metavar="TIME", help=bound)
            command = option(command)
    return command


@runs.command("list")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only runs of this workflow.")
@click.option("--status", multiple=True, metavar="STATUS", help="Only these; may come again.")
@click.option("--label", multiple=True, type=Label(), help="Only with this label; may come again.")
@click.option("--parent", metavar="RUN", help="Only runs that this one started.")
@_times
@click.option(
    "--order",
    default="-created",
    show_default=True,
    metavar="ORDER",
    help="created, updated, ended or events; with a minus the latest, or most, come first.",
)
@LIMIT
@CURSOR
@click.pass_obj
def list_(
    session: Session,
    /,
    *,
    status: tuple[str, ...],
    label: tuple[tuple[str, Any], ...],
    **filters: str | datetime | int | None,
) -> None:
    """List runs, the latest first, a page at a time."""
    from projections import Runs  # noqa: PLC0415

    with session.reading() as database:
        page = Runs(database).list_runs(status=status or None, labels=dict(label), **filters)  # type: ignore[arg-type]
    if session.as_json:
        emit_page(page)
        return
    table(
        ("run", "workflow", "status", "events", "created", "ended", "seconds paused"),
        [
            (
                run.run_id,
                run.workflow_id,
                run.status,
                run.version,
                run.created_at,
                run.ended_at,
                run.paused_seconds,
            )
            for run in page.items
        ],
    )
    note_more(page)


@runs.command()
@click.argument("run")
@click.pass_obj
def show(session: Session, run: str) -> None:
    """Show a run: what it works on, its nodes, its pauses."""
    from projections import Pauses, Runs  # noqa: PLC0415
    from projections.queries.page import MAX_LIMIT  # noqa: PLC0415

    with session.reading() as database:
        details = Runs(database).get_run(run)
        nodes = Runs(database).nodes(run)
        pauses = Pauses(database).list_pauses(run_id=run, order="paused", limit=MAX_LIMIT).items
    if session.as_json:
        names = [field.name for field in fields(details) if field.name != "run_state"]
        found = {name: getattr(details, name) for name in names}
        emit(found | {"nodes": nodes, "pauses": pauses})
        return
    _print_run(details)
    _print_nodes(nodes)
    _print_pauses(pauses)


def _print_run(run: RunDetails) -> None:
    facts(
        (
            ("run", run.run_id),
            ("workflow", run.workflow_id),
            ("status", run.status),
            ("events", run.version),
            ("parent", run.parent),
            ("labels", to_json(run.labels) if run.labels else None),
            ("created", run.created_at),
            ("started", run.started_at),
            ("updated", run.updated_at),
            ("ended", run.ended_at),
            ("seconds paused", run.paused_seconds),
            ("input", _value(run.input)),
            ("state", _value(run.state)),
            ("output", _value(run.output)),
            ("error", _value(run.error)),
            ("reason", run.reason),
        )
    )


def _value(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _print_nodes(nodes: list[Node]) -> None:
    if nodes:
        click.echo()
        table(
            ("node", "label", "status", "attempts", "started", "ended", "output or error"),
            [
                (
                    node.node_id,
                    node.label,
                    node.status,
                    node.attempts,
                    node.started_at,
                    node.ended_at,
                    _value(node.output if node.error is None else node.error),
                )
                for node in nodes
            ],
            "nodes",
        )


def _print_pauses(pauses: list[Pause]) -> None:
    if pauses:
        click.echo()
        table(
            ("pause", "reason", "status", "paused", "until", "seconds", "cause", "actor"),
            [
                (
                    pause.pause_id,
                    pause.reason,
                    pause.status + (", late" if pause.late else ""),
                    pause.paused_at,
                    pause.resumed_at or pause.ended_at,
                    pause.waited_seconds,
                    pause.cause,
                    pause.actor,
                )
                for pause in pauses
            ],
            "pauses",
        )
