"""What ends or changes an open pause: resume, decide, extend, expire, cancel, abort, link."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import Command, JsonObject, JsonValue
from replay.cli.output import emit, note, printable, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore.appends import Append
    from replay import SyncRunControl

_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400, "": 1}
_LENGTH = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|min|h|d|)$")

PAUSE = click.option("--pause", "pause_id", metavar="PAUSE", help="Which, where several are open.")
ACTOR = click.option("--actor", metavar="NAME", help="Who does it.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be recorded.")

if TYPE_CHECKING:
    _Kind = click.ParamType[Any]
else:
    _Kind = click.ParamType


class Length(_Kind):
    """A length of time: ``90``, ``90s``, ``15min``, ``2h``, ``30d``; or ``never``."""

    name = "length"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        """Read it."""
        if value is None or isinstance(value, timedelta):
            return value
        if value == "never":
            return None
        found = _LENGTH.match(value)
        if found is None:
            self.fail(
                f"{value!r} is no length of time; use 90s, 15min, 2h, 30d or never", param, ctx
            )
        try:
            return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
        except OverflowError:
            self.fail(f"{value!r} is longer than a century", param, ctx)


@contextmanager
def changing(session: Session, *, dry_run: bool) -> Iterator[SyncRunControl]:
    """Give what changes runs; with ``dry_run`` it only tells what it would record."""
    from typing import cast  # noqa: PLC0415

    from eventstore import SyncEventStore  # noqa: PLC0415
    from replay import SyncRunControl  # noqa: PLC0415
    from replay.rehearsal import Rehearsal, Rehearsed  # noqa: PLC0415

    with session.store() as store:
        ground = cast("SyncEventStore", Rehearsal(store)) if dry_run else store
        try:
            yield SyncRunControl(ground)
        except Rehearsed as rehearsed:
            if rehearsed.append is not None:
                tell_append(session, rehearsed.append)


def tell_append(session: Session, append: Append) -> None:
    """Print the events that would be recorded."""
    from eventstore import NewEvent  # noqa: PLC0415

    events = [append.events] if isinstance(append.events, NewEvent) else append.events
    if session.as_json:
        told = [{"type": event.type, "data": event.data} for event in events]
        emit({"run_id": append.run_id, "would_record": told})
        return
    for event in events:
        data = to_json(event.data)
        click.echo(printable(f"would record {event.type} of {append.run_id}: {data}"))


def _answering(session: Session, ask: Callable[[SyncRunControl], Any], *, dry_run: bool) -> None:
    """Ask for a context, and print it."""
    with changing(session, dry_run=dry_run) as control:
        context = ask(control)
        click.echo(to_json(context, indented=not session.as_json))


@click.command(cls=Command)
@click.argument("run")
@PAUSE
@click.option("--patch", type=JsonObject(), help="A JSON object that goes into the state.")
@ACTOR
@DRY_RUN
@click.pass_obj
def resume(session: Session, /, run: str, *, dry_run: bool, **asked: Any) -> None:
    """End a pause, and print its context.

    The context is what a worker needs to go on, as JSON. Of all that try, one wins; the others
    exit with 1. A worker appends with the context's version as the expected one.
    """
    _answering(session, lambda control: control.resume(run, **asked), dry_run=dry_run)


@click.command(cls=Command)
@click.argument("answer", type=JsonValue())
@click.option("--run", "run_id", metavar="RUN", help="The run that waits.")
@click.option("--token", metavar="TOKEN", help="Instead of the run: the token of a link.")
@PAUSE
@ACTOR
@DRY_RUN
@click.pass_obj
def decide(session: Session, /, answer: Any, *, dry_run: bool, **asked: Any) -> None:
    """End a pause by an answer, and print its context.

    ANSWER is JSON that fits what the pause asks for; else nothing changes, and it is told why.
    The variable RUNSTORE_TOKEN_KEY holds the key that tokens are signed with.
    """
    _answering(session, lambda control: control.decide(answer=answer, **asked), dry_run=dry_run)


@click.command(cls=Command)
@click.argument("run")
@PAUSE
@click.option("--valid-for", type=Length(), help="So long, instead of as long as the window.")
@click.pass_obj
def link(session: Session, /, run: str, pause_id: str | None, valid_for: timedelta | None) -> None:
    """Print a token by which an open pause can be decided, once: whoever has it can.

    The variable RUNSTORE_TOKEN_KEY holds the key that it is signed with.
    """
    with changing(session, dry_run=False) as control:
        token = control.token(run, pause_id, valid_for=valid_for)
    if session.as_json:
        emit({"token": token})
    else:
        click.echo(token)


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})  # such as -5s
@click.argument("run")
@click.argument("window", type=Length())
@PAUSE
@ACTOR
@DRY_RUN
@click.pass_obj
def extend(
    session: Session, /, run: str, window: timedelta | None, *, dry_run: bool, **asked: Any
) -> None:
    """Let a pause's window end so long from now, such as 90s, 2h or 30d; or never."""
    with changing(session, dry_run=dry_run) as control:
        paused = control.extend(run, window, **asked)
        if session.as_json:
            emit(paused)
        else:
            ends = "has no end" if paused.expires_at is None else f"ends {paused.expires_at:%F %T}"
            click.echo(printable(f"the window of {paused.pause_id} {ends}"))


@click.command(cls=Command)
@click.argument("run")
@PAUSE
@DRY_RUN
@click.pass_obj
def expire(session: Session, /, run: str, *, pause_id: str | None, dry_run: bool) -> None:
    """Let a pause's window end now, with all that its end means.

    What is restored, the next restore hands to a worker.
    """
    with changing(session, dry_run=dry_run) as control:
        expired = control.expire(run, pause_id)
        if session.as_json:
            emit(expired)
        else:
            click.echo(printable(f"the window of {expired.pause_id} ended: {expired.effect}"))


@click.command(cls=Command)
@click.argument("run")
@PAUSE
@click.option("--reason", metavar="TEXT", help="Why.")
@ACTOR
@DRY_RUN
@click.pass_obj
def cancel(session: Session, /, run: str, *, dry_run: bool, **asked: Any) -> None:
    """Call a pause off, and print its context: the run goes on without an answer."""
    _answering(session, lambda control: control.cancel(run, **asked), dry_run=dry_run)


@click.command(cls=Command)
@click.argument("run")
@click.option("--reason", metavar="TEXT", help="Why.")
@ACTOR
@DRY_RUN
@click.pass_obj
def abort(
    session: Session, /, run: str, *, reason: str | None, actor: str | None, dry_run: bool
) -> None:
    """End a run, whatever it does or waits for."""
    with changing(session, dry_run=dry_run) as control:
        version = control.abort(run, reason, actor=actor)
        if session.as_json:
            emit({"run_id": run, "version": version})
        else:
            note(printable(f"{run} was aborted at version {version}"))
