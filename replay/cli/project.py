"""``runstore project``: feeding the read side, and seeing how it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replay.cli.options import Group
from replay.cli.output import emit, note, progress, table
from replay.cli.project_rows import rebuild, verify
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from eventstore import Position, SyncEventStore
    from projections import Projector
    from projections.aside import UnderWay
    from projections.status import ProjectionStatus, ProjectorStatus


@click.group(cls=Group)
def project() -> None:
    """Project the log into the database that queries read."""


@project.command()
@click.option("--to-end", is_flag=True, help="Stop at the end of the log.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long for another projector of the database to leave.",
)
@click.pass_obj
def run(session: Session, *, to_end: bool, wait_s: float) -> None:
    """Project what is new, and go on doing so until interrupted.

    One projector at a time may write to a database. Killed anywhere, it goes on where it was. A
    projection that cannot take an event stands there, and the others go on; see 'project status'.
    """
    from projections import Projector  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415

    began_s = time.perf_counter()
    with (
        session.store(create=True) as store,
        session.writing() as database,
        Projector(store, database, installed_projections(), lock_timeout_s=wait_s) as projector,
    ):
        behind = _behind(projector, store) if to_end else None
        with progress("projecting", behind) as tell, _advising():
            events = (projector.run_to_end if to_end else projector.run)(on_progress=tell)
        seconds = time.perf_counter() - began_s
        projector.catch_up()
    if session.as_json:
        emit({"events": events, "seconds": seconds})
    else:
        click.echo(f"{events:,} events projected in {seconds:.1f} s, {events / seconds:,.0f}/s")


@contextmanager
def _advising() -> Iterator[None]:
    """Say what to do about rows when the log lost what they were made of."""
    from eventstore import LogRegressed  # noqa: PLC0415

    try:
        yield
    except LogRegressed:
        note(
            "there are rows of events that the log lost: put those back, or, once they are "
            "accepted as lost, 'runstore project rebuild' makes the rows of the log as it is"
        )
        raise


@project.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show how far each projection is, how far behind the log, and what holds it up.

    Exit code 1 if one of them stands failed, or the projector that ran last was stopped by what
    it found. The embedded server is not started for this; without it nobody knows how far behind.
    """
    from projections import projection_status, projector_status  # noqa: PLC0415
    from projections.aside import under_way  # noqa: PLC0415

    session: Session = context.obj
    with session.reading() as database:
        found = projection_status(database, tails_if_running(session))
        projector = projector_status(database)
        rebuilding = under_way(database)
    if session.as_json:
        states = {"projector": projector, "rebuild": rebuilding}
        emit({"items": found, "next_cursor": None, **states})
    else:
        _print_status(found, projector, rebuilding)
    context.exit(1 if projector.stop or any(one.failure for one in found) else 0)


@project.command()
@click.argument("name")
@click.option("--cause", default="", metavar="TEXT", help="Why; 'project status' shows it.")
@click.pass_obj
def pause(session: Session, name: str, cause: str) -> None:
    """Stop feeding a projection until it is resumed, also over restarts. The others go on."""
    from projections import pause as pause_projection  # noqa: PLC0415

    session.check_projected()
    with session.writing() as database:
        pause_projection(database, name, cause)
    _told(session, name, "paused")


@project.command()
@click.argument("name")
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Let a paused or failed projection go on where it stands."""
    from projections import resume as resume_projection  # noqa: PLC0415

    session.check_projected()
    with session.writing() as database:
        resume_projection(database, name)
    _told(session, name, "running")


@project.command()
@click.argument("positions", nargs=-1)
@click.option("--projection", "names", multiple=True, metavar="NAME", help="Only this one.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
)
@click.pass_obj
def wait(
    session: Session, positions: tuple[str, ...], names: tuple[str, ...], timeout_s: float
) -> None:
    """Wait until the database shows what was appended.

    POSITIONS are those that an append gave, such as 3:1700000000000-42; without any it is all
    that the log holds now. Exit code 2 if that takes too long, 1 if a projection failed.
    """
    from eventstore import Position  # noqa: PLC0415
    from projections import projection_status, wait_for  # noqa: PLC0415

    wanted = [Position.parse(text) for text in positions]
    with session.reading() as database:
        if not wanted:
            with session.store() as store:
                wanted = [tail for tail in store.tails().values() if tail.n]
        known = [one.name for one in projection_status(database)]
        for name in names:
            if name not in known:
                raise CannotDo(
                    f"no projection {name!r} in this database (it has: {', '.join(known)})"
                )
        wait_for(database, wanted, timeout_s, projections=names or known)
    if session.as_json:
        emit({"positions": wanted, "projections": names or known})
    else:
        click.echo("the database shows it")


def tails_if_running(session: Session) -> Mapping[int, Position] | None:
    """Give where the log ends; None where the embedded server does not run."""
    from eventstore.server import status  # noqa: PLC0415

    if session.url is None:
        server = status(session.folder)
        if server is None or not server.running:
            return None
    with session.store() as store:
        return store.tails()


def _print_status(
    found: list[ProjectionStatus], projector: ProjectorStatus, rebuilding: UnderWay | None
) -> None:
    table(
        ("projection", "version", "state", "since", "events", "behind", "skipped", "cause"),
        [
            (
                one.name,
                one.version,
                one.state,
                one.since,
                one.events,
                "?" if one.lag_events is None else one.lag_events,
                one.dead_events,
                one.cause,
            )
            for one in found
        ],
    )
    for one in found:
        if one.failure:
            note(f"{one.failure.raised_by(one.name)}: runstore project resume {one.name}")
    if projector.stop:
        note(f"the projector stopped, {projector.stop.error}: {projector.stop.message}")
    if projector.holder:
        note(f"projected by {projector.holder}")
    if rebuilding:
        note(f"{', '.join(rebuilding.projections)}: {rebuilding}")


def _told(session: Session, name: str, state: str) -> None:
    if session.as_json:
        emit({"projection": name, "state": state})
    else:
        click.echo(f"{name} is {state}")


def _behind(projector: Projector, store: SyncEventStore) -> int:
    """Give how many events there are to project."""
    lags = [one.lag_events or 0 for one in projector.status()]
    return max(lags) if lags else sum(tail.n for tail in store.tails().values())


project.add_command(rebuild)
project.add_command(verify)
