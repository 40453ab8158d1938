"""``runstore parked``: the runs that a group has set aside, and what is to become of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import CURSOR, LIMIT, Group, Moment
from replay.cli.output import emit, note, printable
from replay.cli.parked_view import as_json, print_details, print_list
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.groups.parking import ParkedFilter

_FILTERS = (
    click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only of this workflow."),
    click.option("--type", metavar="TYPE", help="Only where an event of this type failed."),
    click.option("--kind", metavar="ERROR", help="Only with this error, such as ValueError."),
    click.option("--text", metavar="TEXT", help="Only with this text in the error's message."),
    click.option(
        "--parked-after", "after", type=Moment(), metavar="TIME", help="Only parked from TIME on."
    ),
    click.option(
        "--parked-before", "before", type=Moment(), metavar="TIME", help="Only parked before TIME."
    ),
    click.option(
        "--up-to",
        metavar="PLACE",
        help="Only parked no later than the run at this place of the list.",
    ),
)
_ALL = click.option("--all", "every", is_flag=True, help="All parked runs of the group.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say how many runs it would be.")
_RUN = click.argument("run_id", metavar="[RUN]", required=False)


def _filters(command: Any) -> Any:
    """Add the options that choose among parked runs."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group(cls=Group)
def parked() -> None:
    """List runs that a group has set aside, redrive them, discard them.

    A run is parked for a group when the group's handler failed over one of its events for good:
    the event and what came after it wait, in order, while the group goes on with all other runs.
    None of these commands needs the group to be served.
    """


@parked.command("list")
@click.argument("group")
@click.option("--run", "run_id", metavar="RUN", help="Only this run.")
@click.option("--state", metavar="parked|redrive", help="Only parked ones, or those to redrive.")
@_filters
@click.option(
    "--order",
    default="-parked",
    show_default=True,
    metavar="ORDER",
    help="parked, the time; with a minus the latest come first.",
)
@LIMIT
@CURSOR
@click.pass_obj
def list_(
    session: Session, /, group: str, order: str, limit: int, cursor: str | None, **filters: Any
) -> None:
    """List parked runs, the latest first, a page at a time.

    The state is redrive for a run that is to be handled after all, until that is done.
    """
    from eventstore.groups.parking import ParkedFilter, SyncParked  # noqa: PLC0415

    with session.store() as store:
        chosen = ParkedFilter(**filters)
        page = SyncParked(store, group).list(chosen, order=order, limit=limit, cursor=cursor)
    if session.as_json:
        items = [as_json(run, with_traceback=False) for run in page.items]
        emit({"items": items, "next_cursor": page.next_cursor})
        return
    print_list(page.items)
    if page.next_cursor:
        note(f"there is more: add --cursor {page.next_cursor}")


@parked.command()
@click.argument("group")
@click.argument("run")
@click.option(
    "--events",
    "max_events",
    type=click.IntRange(1, 1_000),
    default=50,
    show_default=True,
    help="How many of the events that are set aside to show.",
)
@click.pass_obj
def show(session: Session, group: str, run: str, max_events: int) -> None:
    """Show a parked run: its error with the traceback, and the events that are set aside."""
    from eventstore.groups.parking import SyncParked  # noqa: PLC0415

    with session.store() as store:
        details = SyncParked(store, group).show(run, max_events=max_events)
    if details is None:
        raise _not_parked(group, run)
    if session.as_json:
        found = as_json(details.run, with_traceback=True)
        emit(found | {"events": details.events, "missing": details.missing})
        return
    print_details(group, details)


@parked.command()
@click.argument("group")
@_RUN
@_ALL
@_filters
@_DRY_RUN
@click.pass_obj
def redrive(
    session: Session,
    /,
    group: str,
    run_id: str | None,
    *,
    every: bool,
    dry_run: bool,
    **filters: Any,
) -> None:
    """Have parked runs handled after all: one, all, or those that the options choose.

    The group does it in order, now or when it is served again. A run that fails again is parked
    again. Runs that are to be redriven already are left. Cut short, run it again: it goes on.
    """
    from eventstore.groups.parking import SyncParked  # noqa: PLC0415

    chosen = _chosen(run_id, filters, every=every)
    with session.store() as store:
        count = SyncParked(store, group).redrive(chosen, dry_run=dry_run)
        if run_id and not count:
            _check_parked(store, group, run_id)
    _print_count(session, "redriven", count, "will be redriven", dry_run=dry_run)
    if not count:
        _note_none(
            f"run {run_id!r} is to be redriven already"
            if run_id
            else "nothing else matches: what is to be redriven already is left"
        )


@parked.command()
@click.argument("group")
@_RUN
@_ALL
@_filters
@_DRY_RUN
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def discard(
    session: Session,
    /,
    group: str,
    run_id: str | None,
    *,
    every: bool,
    dry_run: bool,
    yes: bool,
    **filters: Any,
) -> None:
    """Have parked runs forgotten: the group never handles what was set aside of them.

    The events stay in the store, and other groups are not touched. Later events of the runs are
    handled as usual. It asks first.
    """
    from eventstore.groups.parking import SyncParked  # noqa: PLC0415

    chosen = _chosen(run_id, filters, every=every)
    with session.store() as store:
        of_group = SyncParked(store, group)
        count = of_group.discard(chosen, dry_run=True)
        if run_id and not count:
            _check_parked(store, group, run_id)
        if count and not dry_run:
            question = f"Discard {_runs(count)} of group {printable(group)}?"
            if not yes:
                click.confirm(question, abort=True, err=True)
            count = of_group.discard(chosen)
    _print_count(session, "discarded", count, "discarded", dry_run=dry_run)


def _chosen(run_id: str | None, filters: dict[str, Any], *, every: bool) -> ParkedFilter:
    """Read which runs are meant; to mean all of them takes a word."""
    from eventstore.groups.parking import ParkedFilter  # noqa: PLC0415

    chosen = ParkedFilter(run_id=run_id, **filters)
    if chosen.takes_all != every:
        raise click.UsageError(
            "--all stands alone, without a RUN or options that choose"
            if every
            else "say which: a RUN, options such as --kind, or --all"
        )
    return chosen


def _check_parked(store: SyncEventStore, group: str, run_id: str) -> None:
    from eventstore.groups.parking import ParkedFilter, SyncParked  # noqa: PLC0415

    if not SyncParked(store, group).count(ParkedFilter(run_id=run_id)):
        raise _not_parked(group, run_id)


def _not_parked(group: str, run_id: str) -> click.ClickException:
    return click.ClickException(
        printable(f"run {run_id!r} is not parked for group {group!r}; 'parked list' names them")
    )


def _print_count(session: Session, name: str, count: int, done: str, *, dry_run: bool) -> None:
    if session.as_json:
        emit({name: count, "dry_run": dry_run})
        return
    click.echo(f"{_runs(count)} {f'would be {name}' if dry_run else done}")


def _note_none(why: str) -> None:
    note(printable(f"{why}; 'parked list' shows the runs, with state and error"))


def _runs(count: int) -> str:
    return f"{count:,} parked {'run' if count == 1 else 'runs'}"
