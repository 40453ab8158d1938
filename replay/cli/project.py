"""``runstore project run`` and ``runstore project status``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from replay.cli.options import Group
from replay.cli.output import emit, progress, table
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import Position, SyncEventStore
    from projections import Projector


@click.group(cls=Group)
def project() -> None:
    """Project the log into the database that queries read."""


@project.command()
@click.option("--to-end", is_flag=True, help="Stop at the end of the log.")
@click.pass_obj
def run(session: Session, *, to_end: bool) -> None:
    """Project what is new, and go on doing so until interrupted.

    One projector at a time may write to a database. Killed anywhere, it goes on where it was.
    """
    from projections import Projector  # noqa: PLC0415

    began_s = time.perf_counter()
    with (
        session.store(create=True) as store,
        session.writing() as database,
        Projector(store, database) as projector,
    ):
        behind = _behind(projector, store) if to_end else None
        with progress("projecting", behind) as tell:
            events = (projector.run_to_end if to_end else projector.run)(on_progress=tell)
    seconds = time.perf_counter() - began_s
    if session.as_json:
        emit({"events": events, "seconds": seconds})
    else:
        click.echo(f"{events:,} events projected in {seconds:.1f} s, {events / seconds:,.0f}/s")


@project.command()
@click.pass_obj
def status(session: Session) -> None:
    """Show how far each projection is, and how far behind the log.

    The embedded server is not started for this; without it nobody knows how far behind.
    """
    from projections import projection_status  # noqa: PLC0415

    with session.reading() as database:
        found = projection_status(database, tails_if_running(session))
    if session.as_json:
        emit({"items": found, "next_cursor": None})
        return
    table(
        ("projection", "version", "events", "behind"),
        [
            (one.name, one.version, one.events, "?" if one.lag_events is None else one.lag_events)
            for one in found
        ],
    )


def tails_if_running(session: Session) -> Mapping[int, Position] | None:
    """Give where the log ends; None where the embedded server does not run."""
    from eventstore.server import status  # noqa: PLC0415

    if session.url is None:
        server = status(session.folder)
        if server is None or not server.running:
            return None
    with session.store() as store:
        return store.tails()


def _behind(projector: Projector, store: SyncEventStore) -> int:
    """Give how many events there are to project."""
    lags = [one.lag_events or 0 for one in projector.status()]
    return max(lags) if lags else sum(tail.n for tail in store.tails().values())
