"""``runstore signal`` and ``runstore watch``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from replay.cli.options import Command, Group, JsonValue
from replay.cli.output import Cell, emit, note, printable, table, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replay.signals.delivery import SignalDelivery

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would happen.")
_CONDITION = re.compile(r"^(\S+?)\s*(==|!=|>=|<=|>|<)\s*(.+)$")


@click.command(cls=Command)
@click.argument("type")
@click.argument("payload", type=JsonValue(), required=False)
@click.option("--run", "run_id", metavar="RUN", help="To this run, whether it watches or not.")
@click.option(
    "--source-id",
    metavar="ID",
    help="What its sender calls it: again with the same changes nothing.",
)
@click.option("--patch", is_flag=True, help="The payload, an object, goes into the state.")
@click.option(
    "--when-full",
    type=click.Choice(["refuse", "oldest", "newest"]),
    default="refuse",
    show_default=True,
    help="What a run that keeps as many signals as it may does: refuse it, or drop one.",
)
@click.option("--actor", metavar="NAME", help="Who sends it.")
@_DRY_RUN
@click.pass_obj
def signal(session: Session, /, **asked: Any) -> None:
    """Deliver a signal to a run, or to all runs that watch for it.

    PAYLOAD is JSON. The signal ends a pause that waits for it, or is kept for one to come.
    Whatever it resumes is handed to a worker by a restorer: at once when the window of its pause
    is over, else when its worker does not go on within a minute. Exits with 1 if no run got it,
    or not all that should.
    """
    from replay import SyncRunControl  # noqa: PLC0415

    with session.store() as store:
        delivery = SyncRunControl(store).deliver(asked.pop("type"), asked.pop("payload"), **asked)
    if session.as_json:
        emit(_as_json(delivery))
    else:
        _print(delivery, dry_run=asked["dry_run"])
    if delivery.refused or not delivery.count:
        raise click.exceptions.Exit(1)


def _as_json(delivery: SignalDelivery) -> dict[str, Any]:
    refused = [{"run_id": run, "error": str(error)} for run, error in delivery.refused.items()]
    return asdict(delivery) | {"refused": refused}


def _print(delivery: SignalDelivery, *, dry_run: bool) -> None:
    if delivery.runs:
        rows = [(each.run_id, each.outcome, each.pause_id, each.version) for each in delivery.runs]
        table(("run", "would be" if dry_run else "outcome", "pause", "version"), rows)
    for run, error in delivery.refused.items():
        note(printable(f"{run}: {error}"))
    if delivery.deduplicated:
        note(f"it was delivered before, to {delivery.count:,} runs; nothing was done")
    elif not delivery.count and not delivery.refused:
        note("no run watches for it")


@click.group(cls=Group)
def watch() -> None:
    """Let runs take signals, and show who takes which.

    A pause that waits for signals watches by itself. A watch takes those that come before, or
    between pauses: the run keeps them until a pause consumes them.
    """


@watch.command()
@click.argument("run")
@click.argument("type")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Such as 'order.id == 7' or 'note exists'; may come again, then all must hold.",
)
@click.option("--id", "watch_id", metavar="WATCH", help="What to call it; one that is replaced.")
@_DRY_RUN
@click.pass_obj
def add(
    session: Session,
    run: str,
    type: str,  # noqa: A002 - the argument's name
    where: tuple[str, ...],
    watch_id: str | None,
    *,
    dry_run: bool,
) -> None:
    """Let a run take signals of a type from now on."""
    from replay.signals import watching  # noqa: PLC0415

    conditions = [_condition(text) for text in where]
    with session.store() as store:
        watched = store.perform(
            watching.watch(store.operations, run, type, conditions, watch_id, dry_run=dry_run)
        )
    if session.as_json:
        emit(watched)
    elif dry_run:
        click.echo("it could be set")
    else:
        click.echo(watched.watch_id)


@watch.command()
@click.argument("run")
@click.argument("watch_id", metavar="WATCH")
@_DRY_RUN
@click.pass_obj
def remove(session: Session, run: str, watch_id: str, *, dry_run: bool) -> None:
    """Let a run take no more signals by a watch."""
    from replay.signals import watching  # noqa: PLC0415

    with session.store() as store:
        removed = store.perform(watching.unwatch(store.operations, run, watch_id, dry_run=dry_run))
    if session.as_json:
        emit({"removed": removed and not dry_run, "found": removed})
    if not removed:
        raise click.ClickException(printable(f"run {run} has no watch {watch_id}"))
    if not session.as_json:
        click.echo("it would be removed" if dry_run else "removed")


@watch.command("list")
@click.argument("run")
@click.pass_obj
def list_(session: Session, run: str) -> None:
    """List the signals that a run takes: by watches, and by pauses that wait."""
    from replay import SyncTimeTravel  # noqa: PLC0415

    with session.store() as store:
        state = SyncTimeTravel(store).state_at(run)
    found = [
        {"by": "watch", "id": each.watch_id, "type": each.type, "conditions": each.conditions}
        for each in state.watches.values()
    ]
    found += [
        {"by": "pause", "id": pause.pause_id, "conditions": [], **waited}
        for pause in state.pauses.values()
        for waited in pause.wait_for
    ]
    if session.as_json:
        emit({"items": found, "buffered": state.signals})
        return
    table(("by", "id", "type", "where"), [(*_cells(each, "by", "id", "type"),) for each in found])
    note(f"{len(state.signals):,} signals kept")


@watch.command()
@click.argument("type")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)
@click.pass_obj
def who(session: Session, type: str, limit: int) -> None:  # noqa: A002 - the argument's name
    """List the runs that take signals of a type."""
    from replay.signals import watching  # noqa: PLC0415

    with session.store() as store:
        entries = store.perform(watching.watchers(store.operations, type, limit + 1))
    found = [{"run": e.run_id, "conditions": e.conditions} for e in entries[:limit]]
    if session.as_json:
        emit({"items": found, "is_all": len(entries) <= limit})
        return
    table(("run", "where"), [_cells(each, "run") for each in found])
    if len(entries) > limit:
        note("there are more: raise --limit")


def _cells(entry: Mapping[str, Any], *names: str) -> tuple[Cell, ...]:
    return (*(entry[name] for name in names), " and ".join(_told(entry["conditions"])))


def _told(conditions: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for condition in conditions:
        value = "" if condition["op"] == "exists" else f" {to_json(condition.get('value'))}"
        yield f"{condition['field']} {condition['op']}{value}"


def _condition(text: str) -> dict[str, Any]:
    """Read a condition. A value that is no JSON is text."""
    field, _, operator = text.strip().rpartition(" ")
    if field and operator == "exists":
        return {"field": field.strip(), "op": operator}
    found = _CONDITION.match(text.strip())
    if not found:
        raise click.BadParameter(
            f"{text!r} is no condition; use FIELD == VALUE (or != > >= < <=) or FIELD exists",
            param_hint="--where",
        )
    field, operator, value = found.groups()
    try:
        return {"field": field, "op": operator, "value": json.loads(value)}
    except ValueError:
        return {"field": field, "op": operator, "value": value}
