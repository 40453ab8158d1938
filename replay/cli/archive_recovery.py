"""``runstore archive lost|put-back|accept``: what becomes of events that Redis lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replay.cli.archive_view import losses_as_json, print_losses
from replay.cli.options import Command
from replay.cli.output import emit, note, progress
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from eventstore.archive import Archive

NEW_STORE = click.option(
    "--new-store",
    is_flag=True,
    help="The namespace was made anew, after its data were lost, and used since.",
)


@click.command("lost", cls=Command)
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

    with session.archived() as file, session.store(may_be_lost=True) as store:
        losses = lost(file, store)
        if session.as_json:
            emit(losses_as_json(file, losses, limit))
        else:
            print_losses(file, losses, limit)
    context.exit(1 if losses.events else 0)


@click.command("put-back", cls=Command)
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

    with session.archived(to_write=True) as file:
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


@click.command("accept", cls=Command)
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
    with session.archived(to_write=True) as file, session.store(may_be_lost=True) as store:
        if not yes:
            events = lost(file, store).events
            click.confirm(f"Accept {events:,} events as lost?", abort=True, err=True)
        done = accept(file, store, reason, key=key, new_store=new_store)
    if session.as_json:
        emit({"events": done.events, "runs": done.runs, "seal": done.seal})
    else:
        click.echo(f"{done.events:,} events of {done.runs:,} runs accepted as lost")
