"""``runstore agents threads``, ``messages`` and ``runs``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from replay.cli.listing import CSV, print_page
from replay.cli.options import CURSOR, LIMIT, Group, Moment
from replay.cli.session import Session


@click.group(cls=Group)
def agents() -> None:
    """Show what agents and people said, and in which runs."""


_SINCE = click.option("--since", type=Moment(), metavar="TIME", help="Only from then on.")
_UNTIL = click.option("--until", type=Moment(), metavar="TIME", help="Only before.")


@agents.command()
@click.option("--agent", metavar="WORKFLOW", help="Only those in which this agent took part.")
@_SINCE
@_UNTIL
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def threads(session: Session, /, *, as_csv: bool, **filters: Any) -> None:
    """List threads, the one with the latest message first."""
    from projections import Agents  # noqa: PLC0415

    with session.reading() as database:
        page = Agents(database).threads(**filters)
    print_page(
        session,
        page,
        ("thread", "messages", "runs", "first", "last"),
        lambda one: (one.thread_id, one.messages, one.runs, one.first_at, one.last_at),
        as_csv=as_csv,
    )


@agents.command()
@click.argument("thread", required=False)
@click.option("--run", "run_id", metavar="RUN", help="Only those of this run.")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Only these roles.")
@_SINCE
@_UNTIL
@click.option("--newest-first", is_flag=True, help="Turn the order around.")
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def messages(
    session: Session,
    /,
    *,
    thread: str | None,
    run_id: str | None,
    roles: tuple[str, ...],
    as_csv: bool,
    **filters: Any,
) -> None:
    """List the messages of a THREAD, by time; or those of a run."""
    from projections import Agents  # noqa: PLC0415
    from replay.cli.run_page import content_of  # noqa: PLC0415

    if thread is None and run_id is None:
        raise click.UsageError("give THREAD or --run")
    with session.reading() as database:
        page = Agents(database).messages(thread, run_id=run_id, roles=roles or None, **filters)
    print_page(
        session,
        page,
        ("at", "run", "agent", "role", "actor", "content"),
        lambda one: (
            one.at,
            one.run_id,
            one.agent,
            one.role,
            one.actor,
            content_of(one.content),
        ),
        as_csv=as_csv,
    )


@agents.command("runs")
@click.option("--thread", "thread_id", metavar="THREAD", help="Those that took part in it.")
@click.option("--agent", metavar="WORKFLOW", help="Those of this agent, the latest first.")
@click.option("--run", "run_id", metavar="RUN", help="The threads of this run.")
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def runs_(session: Session, /, *, as_csv: bool, **filters: str | datetime | int | None) -> None:
    """List the runs of a thread, or of an agent."""
    from projections import Agents  # noqa: PLC0415

    if sum(filters[name] is not None for name in ("thread_id", "agent", "run_id")) != 1:
        raise click.UsageError("give one of --thread, --agent and --run")
    with session.reading() as database:
        page = Agents(database).runs(**filters)  # type: ignore[arg-type]
    print_page(
        session,
        page,
        ("thread", "run", "agent", "messages", "first", "last"),
        lambda one: (
            one.thread_id,
            one.run_id,
            one.agent,
            one.messages,
            one.first_at,
            one.last_at,
        ),
        as_csv=as_csv,
    )
