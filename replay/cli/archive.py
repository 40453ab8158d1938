"""``runstore archive``: feeding the archive, and proving it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replay.cli.archive_recovery import accept_, lost_, put_back_
from replay.cli.archive_view import (
    print_status,
    print_verification,
    status_as_json,
    verification_as_json,
)
from replay.cli.options import Group
from replay.cli.output import emit, progress
from replay.cli.project import tails_if_running
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore


@click.group(cls=Group)
def archive() -> None:
    """Keep every event for good, in a file beside Redis, and prove that it is what was written.

    The variable RUNSTORE_SEAL_KEY holds the key that signs: 16 bytes or more, in hexadecimal or
    base64.
    """


for _command in (lost_, put_back_, accept_):
    archive.add_command(_command)


@archive.command()
@click.option("--to-end", is_flag=True, help="Stop at the end of the log.")
@click.option(
    "--begin-signing",
    is_flag=True,
    help="Sign from here on what was archived without a key; verify it first.",
)
@click.pass_obj
def run(session: Session, *, to_end: bool, begin_signing: bool) -> None:
    """Archive what is new, and go on doing so until interrupted.

    One archiver at a time may write to an archive. Killed anywhere, it goes on where it was.
    While the disk is full, it waits.
    """
    from eventstore.archive import (  # noqa: PLC0415
        Archive,
        Archiver,
        archive_status,
        seal_key_from_environment,
    )

    key = seal_key_from_environment()
    path = session.archive_path
    began_s = time.perf_counter()
    with session.store(create=True) as store:
        keys = store.operations.keys
        with (
            Archive.open(
                path,
                identity=store.identity,
                namespace=keys.namespace,
                partitions=keys.partitions,
            ) as file,
            Archiver(store, file, seal_key=key, begin_signing=begin_signing) as archiver,
        ):
            behind = archive_status(file, store.tails()).behind if to_end else None
            with progress("archiving", behind) as tell:
                events = (archiver.run_to_end if to_end else archiver.run)(on_progress=tell)
    seconds = time.perf_counter() - began_s
    if session.as_json:
        emit({"events": events, "seconds": seconds})
    else:
        click.echo(f"{events:,} events archived in {seconds:.1f} s, {events / seconds:,.0f}/s")


@archive.command()
@click.pass_obj
def status(session: Session) -> None:
    """Show how far the archive is, who feeds it, and what stopped that.

    The embedded server is not started for this; without it nobody knows how far behind.
    """
    from eventstore.archive import archive_status  # noqa: PLC0415

    with session.archived() as file:
        found = archive_status(file, tails_if_running(session))
    if session.as_json:
        emit(status_as_json(found))
        return
    print_status(found)


@archive.command()
@click.option(
    "--expect", metavar="SEAL", help="A seal as status showed it earlier: it must be there."
)
@click.option("--file-only", is_flag=True, help="Do not compare with what Redis holds.")
@click.option("--max-findings", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True)
@click.pass_obj
@click.pass_context
def verify(
    context: click.Context,
    session: Session,
    *,
    expect: str | None,
    file_only: bool,
    max_findings: int,
) -> None:
    """Prove that every archived event is what was written, or name each one that is not.

    Exits with 1 on findings; with 2 when it could not be checked, which goes for signatures
    without their key as well. The embedded server is not started for this.
    """
    from eventstore.archive import seal_key_from_environment  # noqa: PLC0415
    from eventstore.archive import verify as verify_archive  # noqa: PLC0415
    from eventstore.errors import RunStoreError  # noqa: PLC0415

    key = seal_key_from_environment()
    try:
        with (
            session.archived() as file,
            _store_if_running(session, wanted=not file_only) as store,
            progress("verifying") as tell,
        ):
            found = verify_archive(
                file,
                key=key,
                store=store,
                expect=expect,
                max_findings=max_findings,
                on_progress=tell,
            )
    except RunStoreError as error:
        raise CannotDo(" ".join(str(error).split())) from error
    if session.as_json:
        emit(verification_as_json(found))
    else:
        print_verification(found)
    context.exit(found.exit_code)


@contextmanager
def _store_if_running(session: Session, *, wanted: bool) -> Iterator[SyncEventStore | None]:
    """Open the store, unless that would start the embedded server."""
    from eventstore.server import status as server_status  # noqa: PLC0415

    server = None if session.url else server_status(session.folder)
    if not wanted or (session.url is None and (server is None or not server.running)):
        yield None
        return
    with session.store(may_be_lost=True) as store:
        yield store
