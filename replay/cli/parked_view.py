"""How parked runs are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from replay.cli.output import Cell, facts, note, printable, table

if TYPE_CHECKING:
    from eventstore.groups.parking import ParkedDetails, ParkedRun


@dataclass(slots=True)
class ParkedError:
    """Runs that are set aside for the same kind of error at the same type of event.

    ``run_id``, ``latest`` and ``error`` are those of the latest of them.
    """

    kind: str
    type: str
    runs: int
    latest: datetime
    run_id: str
    error: str


def by_error(newest_first: Iterable[ParkedRun]) -> list[ParkedError]:
    """Sum up parked runs by their errors, the most frequent first."""
    found: dict[tuple[str, str], ParkedError] = {}
    for run in newest_first:
        key = (run.failure.kind, run.type)
        known = found.setdefault(key, ParkedError(*key, 0, run.parked_at, run.run_id, _error(run)))
        known.runs += 1
    return sorted(found.values(), key=lambda error: -error.runs)


def as_json(run: ParkedRun, *, with_traceback: bool) -> dict[str, Any]:
    """Give a parked run as JSON shows it."""
    from eventstore.clock import from_ms  # noqa: PLC0415

    failure = asdict(run.failure)
    if not with_traceback:
        del failure["traceback"]
    times = {
        "first_at": from_ms(failure.pop("first_ms")),
        "last_at": from_ms(failure.pop("last_ms")),
    }
    return asdict(run) | {"parked_at": run.parked_at, "failure": failure | times}


def print_list(runs: Iterable[ParkedRun]) -> None:
    """Print a table of parked runs."""
    table(_COLUMNS, map(_row, runs))


_COLUMNS = (
    "run", "workflow", "failed", "versions", "deliveries", "parked", "state", "place", "error",
)  # fmt: skip


def _row(run: ParkedRun) -> tuple[Cell, ...]:
    return (
        run.run_id,
        run.workflow_id,
        run.type,
        _versions(run),
        run.failure.deliveries,
        run.parked_at,
        run.state,
        str(run.place),
        _error(run),
    )


def _versions(run: ParkedRun) -> str:
    first, last = run.first_version, run.last_version
    return f"{first}" if first == last else f"{first} to {last}"


def _error(run: ParkedRun) -> str:
    return f"{run.failure.kind}: {run.failure.message}"


def print_details(group: str, details: ParkedDetails) -> None:
    """Print all about one parked run."""
    _print_run(group, details.run)
    _print_events(details)


def _print_run(group: str, run: ParkedRun) -> None:
    from eventstore.clock import from_ms  # noqa: PLC0415

    facts(
        (
            ("run", run.run_id),
            ("group", group),
            ("workflow", run.workflow_id),
            ("state", run.state),
            ("failed", f"{run.type}, version {run.failed_version}, at {run.position}"),
            (
                "set aside",
                f"version{'s' if run.last_version > run.first_version else ''} {_versions(run)}",
            ),
            ("deliveries", run.failure.deliveries),
            ("first failure", from_ms(run.failure.first_ms)),
            ("last failure", from_ms(run.failure.last_ms)),
            ("parked", run.parked_at),
            ("place", str(run.place)),
        )
    )
    click.echo()
    click.echo(printable(_error(run)))
    for line in run.failure.traceback.splitlines():
        click.echo(printable(line.expandtabs()))


def _print_events(details: ParkedDetails) -> None:
    if details.events:
        click.echo()
        rows = [(event.version, event.type, event.recorded_at) for event in details.events]
        table(("version", "type", "recorded"), rows, "events set aside")
    if details.missing:
        note(f"events that are set aside cannot be read: {printable(details.missing)}")
