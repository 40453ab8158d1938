"""``runstore archive``: feeding the archive, proving it, and getting back what Redis lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replay.cli.archive_view import (
    losses_as_json,
    print_losses,
    print_status,
    print_verification,
    status_as_json,
    verification_as_json,
)
from replay.cli.options import Group
from replay.cli.output import emit, note, progress
from replay.cli.project import tails_if_running
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.archive import Archive

NEW_STORE = click.option(
    "--new-store",
    is_flag=True,
    help="The namespace was made anew, after its data were lost, and used since.",
)


@click.group(cls=Group)
def archive() -> None:
    """Keep every event for good, in a file beside Redis, and prove that it is what was written.

    The variable RUNSTORE_SEAL_KEY holds the key that signs: 16 bytes or more, in hexadecimal or
    base64.
    """


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

    with _looking(session) as file:
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
            _looking(session) as file,
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


@archive.command("lost")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="Events."
)
@click.pass_obj
@click.pass_context
def lost_(context: click.Context, session: Session, *, limit: int) -> None:
    """List the events that the server lost and the archive still holds.

    A server loses what it acknowledged when it is emptied, goes back to an older copy, or when a
    replica that lagged takes over. An emptied one gets its namespace again, empty. Exits with 1 if
    something is lost.
    """
    from eventstore.archive.recovery import lost  # noqa: PLC0415

    with _looking(session) as file, session.store(may_be_lost=True) as store:
        losses = lost(file, store)
        if session.as_json:
            emit(losses_as_json(file, losses, limit))
        else:
            print_losses(file, losses, limit)
    context.exit(1 if losses.events else 0)


@archive.command("put-back")
@NEW_STORE
@click.option(
    "--unverified", is_flag=True, help="Do not verify the archive first; checksums must do."
)
@click.pass_obj
@click.pass_context
def put_back_(
    context: click.Context, session: Session, *, new_store: bool, unverified: bool
) -> None:
    """Put back what the server lost, each event at its own place, from an archive that is whole.

    Where other events took the places, nothing is put back, and it exits with 1. Idempotency
    keys are not in the archive: for events that were put back they are not known any more.
    """
    from eventstore.archive.recovery import put_back  # noqa: PLC0415

    with _looking(session, to_write=True) as file:
        if not unverified:
            _require_whole(file)
        with session.store(may_be_lost=True) as store, progress("putting back") as tell:
            done = put_back(file, store, new_store=new_store, on_progress=tell)
    left = done.left.events
    if session.as_json:
        emit({"events": done.events, "still_lost": left, "refused": done.refused})
    else:
        click.echo(f"{done.events:,} events put back, {left:,} still lost")
    for partition, reason in done.refused.items():
        note(f"partition {partition}: {reason}")
    if done.is_new_store:
        note(
            "consumer groups, how far they were and what they had set aside, came not back: "
            "'runstore groups create NAME --start beginning|end|POSITION' says where each begins"
        )
    if done.refused:
        note("'runstore archive accept' accepts what is lost, and lets the archiver go on")
    context.exit(1 if left else 0)


def _require_whole(file: Archive) -> None:
    """Refuse to put back what somebody may have changed."""
    from eventstore.archive import seal_key_from_environment, verify  # noqa: PLC0415

    with progress("verifying") as tell:
        found = verify(file, key=seal_key_from_environment(), on_progress=tell)
    if found.exit_code:
        told = f"{found.finding_count:,} findings" if found.finding_count else found.signatures
        raise CannotDo(
            f"nothing was put back: the archive is not known to be whole ({told}; its key belongs "
            "into RUNSTORE_SEAL_KEY). 'runstore archive verify' tells more; --unverified puts it "
            "back all the same"
        )


@archive.command("accept")
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the archive, and sealed.")
@NEW_STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def accept_(session: Session, *, reason: str, new_store: bool, yes: bool) -> None:
    """Accept as lost what the server lost, and go on with the log as it is now.

    The lost events stay in the archive, set aside. Put back first what can be put back.
    """
    from eventstore.archive import seal_key_from_environment  # noqa: PLC0415
    from eventstore.archive.recovery import accept, lost  # noqa: PLC0415

    key = seal_key_from_environment()
    with _looking(session, to_write=True) as file, session.store(may_be_lost=True) as store:
        if not yes:
            events = lost(file, store).events
            click.confirm(f"Accept {events:,} events as lost?", abort=True, err=True)
        done = accept(file, store, reason, key=key, new_store=new_store)
    if session.as_json:
        emit({"events": done.events, "runs": done.runs, "seal": done.seal})
    else:
        click.echo(f"{done.events:,} events of {done.runs:,} runs accepted as lost")


@contextmanager
def _looking(session: Session, *, to_write: bool = False) -> Iterator[Archive]:
    """Open the archive whichever store it belongs to."""
    from eventstore.archive import Archive  # noqa: PLC0415

    path = session.archive_path
    if not path.exists():
        raise CannotDo(f"nothing is archived yet, {path} is not there; run 'runstore archive run'")
    with Archive.look(path, read_only=not to_write) as file:
        yield file


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
