"""``runstore delete``: forgetting a run, and showing that it is forgotten."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import click

from replay.cli.changing import ACTOR, DRY_RUN, changing
from replay.cli.options import Command
from replay.cli.output import emit, note, printable, table
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from replay.erasing import Remains, Wiped
    from replay.erasing.places import Places


@click.command(cls=Command)
@click.argument("run", required=False)
@click.option("--reason", metavar="TEXT", help="Why; this is kept.")
@ACTOR
@click.option("--yes", is_flag=True, help="Do not ask.")
@DRY_RUN
@click.option("--status", is_flag=True, help="Only show where anything is left of it.")
@click.option("--wipe", is_flag=True, help="Without a run: remove the last traces of all deleted.")
@click.pass_context
def delete(
    context: click.Context,
    /,
    run: str | None,
    *,
    reason: str | None,
    actor: str | None,
    yes: bool,
    dry_run: bool,
    status: bool,
    wipe: bool,
) -> None:
    """Delete a run: its content leaves every place, and only that it was there stays.

    The archive erases it when it archives the deletion, and keeps digests, so that it still can
    be verified; the log lets it go when it is archived and everybody has passed it; projections
    forget it. --status shows what is left where, and why; it exits with 0 when that is nothing,
    else with 1. --wipe then writes anew what still shows removed bytes: memory and files of the
    server, and the files of archive and projections; that needs room for them twice.
    """
    session = context.find_object(Session) or Session()
    if (run is None) != wipe or (wipe and status):
        raise click.UsageError("name a run, or say --wipe without one")
    if run is None:
        context.exit(_wipe(session))
    if status:
        context.exit(_status(session, run))
    if not dry_run:
        _make_sure(run, yes=yes)
    with changing(session, dry_run=dry_run) as control:
        version = control.delete(run, reason, actor=actor)
        if session.as_json:
            emit({"run_id": run, "version": version})
        else:
            note(printable(f"{run} was deleted at version {version}"))


def _make_sure(run: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CannotDo("a deletion cannot be undone: say --yes")
    click.confirm(printable(f"Delete run {run} for good?"), abort=True, err=True)


def _status(session: Session, run: str) -> int:
    from replay.erasing import remains  # noqa: PLC0415

    with _places(session, changed=False) as places:
        found = remains(places, run)
    if session.as_json:
        emit(_as_data(found))
    else:
        _show(found)
    return 0 if found.is_gone else 1


def _wipe(session: Session) -> int:
    from replay.erasing import wipe  # noqa: PLC0415

    with _places(session, changed=True) as places:
        done: Wiped = wipe(places)
    if session.as_json:
        emit(done)
    else:
        click.echo(f"{done.runs:,} runs have no trace left, {done.waiting:,} still have content")
        for told in done.hindered:
            note(printable(told))
    return 1 if done.hindered or done.waiting else 0


def _as_data(found: Remains) -> dict[str, object]:
    erasure = found.erasure
    return {
        "run_id": found.run_id,
        "version": found.deleted_at_version,
        "is_gone": found.is_gone,
        "erased_ms": erasure.erased_ms if erasure else None,
        "wiped_ms": erasure.wiped_ms if erasure else None,
        "traces": found.traces,
    }


def _show(found: Remains) -> None:
    table(
        ("place", "left", "what it waits for"),
        [(one.place, one.left, one.detail) for one in found.traces],
    )
    if found.deleted_at_version is None:
        note(printable(f"{found.run_id} is not deleted"))
    elif found.is_gone:
        note(printable(f"nothing is left of {found.run_id}, but that it was deleted"))


@contextmanager
def _places(session: Session, *, changed: bool) -> Iterator[Places]:
    """Open every place there is; with a URL, archive and database must be named."""
    from eventstore import RunStoreError  # noqa: PLC0415
    from eventstore.archive import Archive  # noqa: PLC0415
    from projections import open_database  # noqa: PLC0415
    from replay.erasing.places import Places  # noqa: PLC0415
    from replay.timetravel import SnapshotFile  # noqa: PLC0415

    with session.store() as store, ExitStack() as opened:
        archive_path, database_path = session.archive_path, session.database_path
        archive = database = snapshots = None
        if archive_path.exists():
            keys = store.operations.keys
            archive = opened.enter_context(
                Archive.open(
                    archive_path,
                    identity=store.identity,
                    namespace=keys.namespace,
                    partitions=keys.partitions,
                    read_only=not changed,
                )
            )
        if database_path.exists():
            database = opened.enter_context(open_database(database_path, read_only=not changed))
        kept = database_path.with_name(f"{database_path.stem}.snapshots.db")
        if kept.exists():
            with suppress(RunStoreError):
                snapshots = opened.enter_context(SnapshotFile(kept))
        yield Places(store, archive, database, snapshots)
