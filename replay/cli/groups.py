"""``runstore groups``: seeing and steering consumer groups. No service has to run."""

from __future__ import annotations

import getpass
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from replay.cli.group_view import events_text, group_as_json, print_group, print_groups
from replay.cli.options import Group, Moment
from replay.cli.output import emit, note
from replay.cli.parked_view import by_error
from replay.cli.reset_view import print_reset, reset_as_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import Position
    from eventstore.groups.status import GroupStatus

MAX_SUMMED_UP = 1_000
"""So many parked runs are summed up by their errors."""


@click.group(cls=Group)
def groups() -> None:
    """See consumer groups, and steer them: also while every service is stopped."""


@groups.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the groups, and how far each is behind."""
    from eventstore.groups.status import SyncGroups  # noqa: PLC0415

    with session.store() as store:
        found = SyncGroups(store).list()
    if session.as_json:
        emit({"items": [group_as_json(group) for group in found], "next_cursor": None})
        return
    print_groups(found)


@groups.command()
@click.argument("group")
@click.pass_obj
def show(session: Session, group: str) -> None:
    """Show how a group stands, partition by partition: what is wrong comes first.

    Lag comes from positions: how many events lie behind what the group has handled, and for how
    long the first of them has been in the log. Pending are events that a member was given and has
    not acknowledged. An owner holds its partition by a lease, and each change of owner raises the
    epoch. Stalled is an owner that lives and does not get on. A member is silent once it was not
    heard for the length of a lease. Parked runs are summed up by error, of the latest 1,000.
    """
    from eventstore.groups.parking import SyncParked  # noqa: PLC0415
    from eventstore.groups.status import SyncGroups  # noqa: PLC0415

    with session.store() as store:
        found = SyncGroups(store).show(group)
        parked = SyncParked(store, group).list(limit=MAX_SUMMED_UP).items if found.parked else []
    errors = by_error(parked)
    if session.as_json:
        emit(group_as_json(found) | {"parked_errors": errors})
        return
    print_group(found, errors)


class _Place(Moment):
    """Where a group may go on: a word, a position or a time."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        from eventstore import InvalidArgument, Position  # noqa: PLC0415

        if value in ("beginning", "end") or isinstance(value, Position):
            return value
        with suppress(InvalidArgument, TypeError):
            return Position.parse(value)
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            told = (
                f"{value!r} is neither beginning nor end, no time such as 2012-05-22T10:30:00Z, "
                "and no position such as 3:1700000000000-42"
            )
            self.fail(told, param, ctx)


@groups.command()
@click.argument("group")
@click.option(
    "--start",
    type=_Place(),
    default="beginning",
    show_default=True,
    metavar="PLACE",
    help="beginning, end (what comes from now on), a time, or after a position.",
)
@click.pass_obj
def create(session: Session, group: str, start: Any) -> None:
    """Make a group, before any service of it runs."""
    from eventstore.groups.status import SyncGroups  # noqa: PLC0415

    with session.store(create=True) as store:
        SyncGroups(store).create(group, start)
    start = str(start)
    _done(session, {"group": group, "start": start}, f"group {group} begins at {start}")


@groups.command()
@click.argument("group")
@click.option(
    "--to",
    "places",
    type=_Place(),
    multiple=True,
    required=True,
    metavar="PLACE",
    help="beginning, end, a time, or a position; positions of several partitions, each with --to.",
)
@click.option("--by", metavar="NAME", help="Who does it, for the record: your login by default.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--force", is_flag=True, help="Also while members live: they lose their partitions.")
@click.option("--drop-parked", is_flag=True, help="Forget the runs that the group set aside.")
@click.pass_obj
def reset(
    session: Session, /, group: str, *, places: tuple[Any, ...], by: str | None, **how: bool
) -> None:
    """Let a group go on from another place, to handle events again or to skip some.

    After one position, other partitions go on from its millisecond; with several, those that are
    not named stay as they are. It is recorded with the group.
    """
    from eventstore.groups.status import SyncGroups  # noqa: PLC0415

    to = places[0] if len(places) == 1 else _by_partition(places)
    with session.store() as store:
        done = SyncGroups(store).reset(group, to, by=by or getpass.getuser(), **how)
        parked = SyncGroups(store).show(group).parked
    if session.as_json:
        emit(reset_as_json(done))
        return
    print_reset(done)
    if parked and not how["drop_parked"]:
        note(f"{parked:,} runs stay set aside, and what comes of them is held back in order: "
             "'runstore parked' decides about them, or --drop-parked forgets them")  # fmt: skip


def _by_partition(places: tuple[Any, ...]) -> dict[int, Position]:
    from eventstore import Position  # noqa: PLC0415

    if not all(isinstance(place, Position) for place in places):
        raise click.UsageError("--to may come again only with positions")
    named = {place.partition: place for place in places}
    if len(named) < len(places):
        raise click.UsageError("--to names a partition twice")
    return named


@groups.command()
@click.argument("group")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also while members live: they end with an error.")
@click.pass_obj
def delete(session: Session, group: str, *, yes: bool, force: bool) -> None:
    """Forget a group: how far it got, and the runs that it set aside. The events stay."""
    from eventstore import UnknownGroup  # noqa: PLC0415
    from eventstore.groups.status import SyncGroups  # noqa: PLC0415

    with session.store() as store:
        steered = SyncGroups(store)
        if not yes:
            try:
                found = steered.show(group)
            except UnknownGroup:
                found = None  # what a creation that was cut short has left can be deleted too
            _confirm(group, found)
        steered.delete(group, force=force)
    _done(session, {"group": group, "deleted": True}, f"group {group} is deleted")


def _confirm(group: str, found: GroupStatus | None) -> None:
    lost = ""
    if found is not None:
        waiting = events_text(found)
        lost = f" It is {waiting} events behind and has set {found.parked:,} runs aside."
    click.confirm(f"Delete group {group}?{lost}", abort=True, err=True)


def _done(session: Session, found: dict[str, Any], words: str) -> None:
    if session.as_json:
        emit(found)
    else:
        click.echo(words)
