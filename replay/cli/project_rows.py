"""``runstore project rebuild`` and ``runstore project verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replay.cli.options import Command
from replay.cli.output import emit, note, progress, table, to_json
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from projections import Difference, Verified


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--run", "run_id", metavar="RUN", help="Only the rows of this run.")
@click.option("--anew", is_flag=True, help="Do not go on with a rebuild that was killed.")
@click.option(
    "--damaged",
    is_flag=True,
    help="Set the database aside, which SQLite cannot read any more, and make all of it anew.",
)
@click.pass_obj
def rebuild(
    session: Session, *, names: tuple[str, ...], run_id: str | None, anew: bool, damaged: bool
) -> None:
    """Make the rows of the named projections anew, or of all, from archive and log.

    A projector and readers go on meanwhile; readers see the old rows until one transaction puts
    the new ones in place. Killed, the next one goes on where it was.
    """
    session.check_projected()
    if (run_id is not None) + damaged + bool(names) > 1:
        raise click.UsageError("give names, --run or --damaged, not several of them")
    if damaged:
        _project_anew(session)
    elif run_id is not None:
        _rebuild_run(session, run_id)
    else:
        _rebuild(session, names, anew=anew)


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Compare the rows of N runs only."
)
@click.option("--seed", type=int, metavar="NUMBER", help="Draw the same runs again.")
@click.pass_context
def verify(
    context: click.Context, names: tuple[str, ...], sample: int | None, seed: int | None
) -> None:
    """Make the rows of the named projections, or of all, anew, and compare every one of them.

    Prints where they differ, and has exit code 1 if they do. A projector and readers may go on
    meanwhile. For large stores there is --sample.
    """
    from projections import verify as verify_all  # noqa: PLC0415
    from projections import verify_sample  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415

    session: Session = context.obj
    session.check_projected()
    known = installed_projections()
    with session.store() as store, session.writing() as database:
        if sample is not None:
            found = verify_sample(store, database, sample, names, known, seed=seed)
        else:
            with progress("verifying", sum(one.n for one in store.tails().values())) as tell:
                found = verify_all(
                    store, database, names, known, on_progress=lambda at: tell(at.events)
                )
    if session.as_json:
        emit(found)
    else:
        _print_differences(found)
    context.exit(1 if found.found else 0)


def _rebuild(session: Session, names: tuple[str, ...], *, anew: bool) -> None:
    from projections import rebuild as rebuild_all  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415

    with session.store() as store, session.writing() as database:
        total = sum(tail.n for tail in store.tails().values())
        with progress("rebuilding", total) as tell:
            done = rebuild_all(
                store,
                database,
                names,
                installed_projections(),
                anew=anew,
                on_progress=lambda at: tell(at.events),
            )
    if session.as_json:
        emit(done)
        return
    if done.continued_at:
        note(f"went on with a rebuild that had read {done.continued_at:,} events")
    rate = done.events / done.seconds
    click.echo(
        f"{', '.join(done.projections)}: {done.events:,} events in {done.seconds:.1f} s, "
        f"{rate:,.0f}/s; put in place in {done.switch_seconds:.2f} s"
    )


def _rebuild_run(session: Session, run_id: str) -> None:
    from projections import rebuild_run  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415

    with session.store() as store, session.writing() as database:
        written = rebuild_run(store, database, run_id, installed_projections())
    if not any(written.values()):
        raise CannotDo(f"there is no run {run_id!r} in this store; no rows are left of it")
    if session.as_json:
        emit({"run_id": run_id, "rows": written})
    else:
        table(("table", "rows"), list(written.items()))


def _project_anew(session: Session) -> None:
    """Project into a new file, in the place of the one that is damaged."""
    from projections import Projector, open_database  # noqa: PLC0415
    from projections.database.copies import set_aside  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415

    path = session.database_path
    with session.store() as store:
        kept = set_aside(path)
        note(f"the damaged database is kept as {kept}; delete it when it is not needed")
        with (
            open_database(path) as database,
            Projector(store, database, installed_projections()) as projector,
        ):
            total = sum(tail.n for tail in store.tails().values())
            with progress("projecting", total) as tell:
                events = projector.run_to_end(tell)
    if session.as_json:
        emit({"events": events, "kept": str(kept)})
    else:
        click.echo(f"{events:,} events projected into a new database")


def _print_differences(found: Verified) -> None:
    if found.differences:
        table(
            ("table", "key", "column", "live", "rebuilt"),
            [_cells(one) for one in found.differences],
        )
    if found.found > len(found.differences):
        note(f"and {found.found - len(found.differences):,} more")
    what = f"{found.runs:,} runs" if found.runs is not None else f"{found.events:,} events"
    told = f"{found.found:,} differences" if found.found else "no difference"
    click.echo(f"{', '.join(found.projections)}: {told} in {what}")
    if found.found:
        note(
            "'runstore project rebuild' makes the rows as the events say; if the file itself is "
            "damaged, with --damaged"
        )


def _cells(one: Difference) -> tuple[str | None, ...]:
    sides = (one.live, one.rebuilt)
    values = (value if isinstance(value, str) else to_json(value) for value in sides)
    return (one.table, to_json(one.key) if one.key else "", one.column or "(row)", *values)
