"""All commands together, and what becomes of their errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.exceptions import Exit

from replay.cli.agents import agents
from replay.cli.archive import archive
from replay.cli.audit import audit
from replay.cli.changing import abort, cancel, decide, expire, extend, link, resume
from replay.cli.delete import delete
from replay.cli.diff import diff
from replay.cli.doctor import doctor
from replay.cli.fork import fork, rerun
from replay.cli.groups import groups
from replay.cli.meta import completion, show_version
from replay.cli.metrics import metrics
from replay.cli.options import Group
from replay.cli.output import end_unread
from replay.cli.parked import parked
from replay.cli.pauses import pauses
from replay.cli.project import project
from replay.cli.runs import runs
from replay.cli.search import search
from replay.cli.session import CannotDo, Session
from replay.cli.signals import signal, watch
from replay.cli.state import state
from replay.cli.stats import stats
from replay.cli.sweeps import reconcile, restore
from replay.cli.timeline import timeline
from replay.cli.transfer import export, import_
from replay.cli.trim import trim

INTERRUPTED = 130


class Refused(click.ClickException):
    """The store said no. Exit code 1."""


_DEMO = click.Command("demo", help="Show it all at work, on a small workflow.")
"""Stands for the demo in the list of commands."""


class Commands(Group):
    """The commands, in the order in which they were added."""

    shows_options = True

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click asks so
        """Name them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is to run; the demo is loaded only then."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is _DEMO:
            from replay.demo.command import demo as command  # noqa: PLC0415
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        session = ctx.ensure_object(Session)
        ctx.default_map = {"demo": {"folder": session.folder, "as_json": session.as_json}}
        with _told_in_one_line():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.Abort, Exit):
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        end_unread()
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error


def _told(error: Exception) -> click.ClickException | None:
    """Give what people are told; None for what nobody expected."""
    from eventstore.errors import (  # noqa: PLC0415
        InvalidArgument,
        RunStoreError,
        StoreUnavailable,
        WaitTimeout,
    )

    message = " ".join(str(error).split())
    if isinstance(error, (InvalidArgument, StoreUnavailable, WaitTimeout)):
        return CannotDo(message)
    if isinstance(error, RunStoreError):
        return Refused(message)
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return CannotDo(f"{error.strerror or message}{where}")
    return None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 good; 1 refused, or findings; 2 wrong usage, or it could not be done. "
        "With --json each command prints one JSON object, lists as {items, next_cursor}; "
        "export and restore print JSON lines. Times are in UTC."
    ),
)
def commands() -> None:
    """Work with an event-sourced store for workflow and agent runs on Redis Streams.

    The options here may also stand after a command.
    """


commands.params.append(show_version)
for _command in (
    _DEMO,
    import_,
    export,
    project,
    stats,
    runs,
    timeline,
    search,
    agents,
    pauses,
    resume,
    decide,
    link,
    extend,
    expire,
    cancel,
    abort,
    delete,
    restore,
    reconcile,
    signal,
    watch,
    state,
    diff,
    fork,
    rerun,
    audit,
    groups,
    parked,
    archive,
    trim,
    metrics,
    doctor,
    completion,
):
    commands.add_command(_command)
