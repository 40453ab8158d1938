"""``runstore audit``: proving what is stored, telling what happened, replaying decisions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import Group, Moment
from replay.cli.output import emit, facts, note, progress, table
from replay.cli.session import CannotDo, Session
from replay.cli.transfer import export

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.archive import Archive
    from projections import Database
    from replay.audit import AuditReport, Checked, Deed


@click.group(cls=Group)
def audit() -> None:
    """Prove that all is as it was written, tell who did what, and replay decisions."""


@audit.command()
@click.option(
    "--expect", metavar="SEAL", help="A seal as 'archive status' showed it: it must be there."
)
@click.option("--max-findings", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True)
@click.pass_obj
@click.pass_context
def verify(
    context: click.Context, session: Session, *, expect: str | None, max_findings: int
) -> None:
    """Check the log, all runs, the archive and the projections, or name what is not as written.

    Exits with 1 on findings, with 2 when something could not be checked, signatures without
    their key (RUNSTORE_SEAL_KEY) too. An archive or database that is not there is left out.
    """
    from eventstore.archive import seal_key_from_environment  # noqa: PLC0415
    from eventstore.errors import RunStoreError  # noqa: PLC0415
    from projections.installed import installed_projections  # noqa: PLC0415
    from replay.audit import SyncAudit  # noqa: PLC0415

    key = seal_key_from_environment()
    try:
        with _all_there(session) as (store, archive, database), progress("checking") as tell:
            found = SyncAudit(store).verify(
                archive,
                database,
                key=key,
                expect=expect,
                projections=installed_projections(),
                max_findings=max_findings,
                on_progress=lambda _part, done: tell(done),
            )
    except RunStoreError as error:
        raise CannotDo(" ".join(str(error).split())) from error
    if session.as_json:
        emit(asdict(found))
    else:
        _print_report(found)
    context.exit(found.exit_code)


@audit.command()
@click.argument("run")
@click.pass_obj
def history(session: Session, run: str) -> None:
    """Tell who did what to a run and when, each event below the one that it comes of.

    Causes are what events name (causation_id), or what began the same pause, call or attempt.
    """
    from replay.audit import SyncAudit  # noqa: PLC0415

    with session.store() as store:
        deeds = SyncAudit(store).history(run)
    if session.as_json:
        emit({"items": [asdict(one) for one in deeds], "next_cursor": None})
    else:
        _print_history(deeds)


@audit.command()
@click.argument("function", metavar="MODULE:FUNCTION")
@click.option("--run", "run_ids", multiple=True, metavar="RUN", help="Only this run.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only runs of this workflow.")
@click.option("--since", type=Moment(), help="Only runs that began then or later.")
@click.option("--until", type=Moment(), help="Only runs that began before.")
@click.option("--decides", multiple=True, metavar="TYPE", help="A type that only it decides.")
@click.pass_obj
@click.pass_context
def check(
    context: click.Context,
    session: Session,
    function: str,
    *,
    run_ids: tuple[str, ...],
    workflow_id: str | None,
    since: datetime | None,
    until: datetime | None,
    decides: tuple[str, ...],
) -> None:
    """Replay recorded runs against a workflow, and show where each first differs.

    FUNCTION takes a run's state and its events so far, and gives the events that the workflow
    appends next: each a NewEvent, a pair of type and data, or a type. It is imported, and run.
    Exits with 1 if some run differs.
    """
    from replay.audit import SyncAudit  # noqa: PLC0415

    decide = _imported(function)
    with session.store() as store, progress("replaying") as tell:
        found = SyncAudit(store).check(
            decide,
            run_ids or None,
            decides=decides or getattr(decide, "decides", None),
            workflow_id=workflow_id,
            since=since,
            until=until,
            on_progress=tell,
        )
    if session.as_json:
        emit(asdict(found))
    else:
        _print_checked(found)
    context.exit(1 if found.diverged else 0)


audit.add_command(export)


@contextmanager
def _all_there(
    session: Session,
) -> Iterator[tuple[SyncEventStore, Archive | None, Database | None]]:
    """Open the store, and what there is of archive and database."""
    from eventstore.archive import Archive  # noqa: PLC0415

    archive = database = None
    with ExitStack() as stack:
        store = stack.enter_context(session.store())
        if (session.archive or not session.url) and session.archive_path.exists():
            archive = stack.enter_context(Archive.look(session.archive_path))
        else:
            note("there is no archive to check")
        if (session.database or not session.url) and session.database_path.exists():
            database = stack.enter_context(session.writing())
        else:
            note("there is no database of projections to check")
        yield store, archive, database


def _imported(name: str) -> Callable[..., Any]:
    """Import what the caller names, also from the folder where the command is run."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise click.UsageError(f"{name!r} names no function; use MODULE:FUNCTION")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise CannotDo(f"{name} cannot be imported: {error}") from error
    if not callable(found):
        raise CannotDo(f"{name} is no function")
    return found  # type: ignore[no-any-return]


def _print_report(found: AuditReport) -> None:
    own = found.archive
    facts(
        [
            ("events in the log", found.events),
            ("runs", found.runs),
            ("events archived", own.events if own else None),
            ("last seal", own.last_seal if own else None),
            ("signatures", own.signatures if own else None),
            ("projections", ", ".join(found.projections) or None),
            ("findings", found.finding_count),
        ]
    )
    if found.findings:
        click.echo()
        table(
            ("where", "what", "run", "version", "position", "seal", "table", "how it shows"),
            [
                (one.part, one.what, one.run_id, one.version, one.position, one.seal, one.table,
                 one.detail)
                for one in found.findings
            ],
        )  # fmt: skip
    if found.finding_count > len(found.findings):
        note(f"{found.finding_count - len(found.findings):,} more findings are not shown")
    for reason in found.unchecked:
        note(f"not checked: {reason}")
    if not found.exit_code:
        note("everything is as it was written")


def _print_history(deeds: list[Deed]) -> None:
    table(
        ("when", "version", "actor", "correlation", "what"),
        [
            (
                one.occurred_at,
                one.version,
                one.actor,
                one.correlation_id,
                f"{'  ' * min(one.depth, 20)}{one.type}{f' ({one.about})' if one.about else ''}",
            )
            for one in deeds
        ],
    )


def _print_checked(found: Checked) -> None:
    if found.divergences:
        table(
            ("run", "version", "how it differs"),
            [(one.run_id, one.version, one.detail) for one in found.divergences],
        )
    if found.diverged > len(found.divergences):
        note(f"{found.diverged - len(found.divergences):,} more runs differ")
    click.echo(
        f"{found.runs:,} runs of {found.events:,} events replayed, {found.diverged:,} differ"
    )
