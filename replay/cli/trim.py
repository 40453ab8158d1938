"""``runstore trim``: what is archived leaves Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replay.cli.options import Command
from replay.cli.output import emit, note, table
from replay.cli.session import CannotDo, Session

if TYPE_CHECKING:
    from eventstore import SyncEventStore
    from eventstore.retention import TrimReport

HOUR_S = 3600


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Count, and change nothing.")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    default=10,
    show_default=True,
    help="With --follow, how often.",
)
@click.option(
    "--group-grace",
    "grace_s",
    type=click.FloatRange(0.001),
    metavar="SECONDS",
    default=HOUR_S,
    show_default=True,
    help="For how long a silent group or reader is waited for.",
)
@click.pass_obj
def trim(session: Session, *, dry_run: bool, follow: bool, every_s: float, grace_s: float) -> None:
    """Let what is archived leave Redis, where everybody who lives has passed it.

    Consumer groups and readers that were silent for longer than the grace block nothing: they
    catch up from the archive. Runs that ended, and runs whose pause window expired, are kept as
    a few bytes. Without an archive nothing is trimmed.
    """
    from eventstore.retention import Trimmer  # noqa: PLC0415

    with session.store() as store:
        trimmer = Trimmer(store, group_grace_ms=round(grace_s * 1000), dry_run=dry_run)
        if follow:
            trimmer.run(every_ms=round(every_s * 1000), on_report=lambda r: _follow(session, r))
            return
        report = trimmer.run_once()
        if report.archive is None:
            raise _nothing_archived(store)
    if session.as_json:
        emit(_as_data(report))
    else:
        _show(report)


def _nothing_archived(store: SyncEventStore) -> CannotDo:
    path = store.opening.archive
    if path is None:
        return CannotDo(
            "with a URL, say where the archive is: the variable RUNSTORE_ARCHIVE; without an "
            "archive nothing is trimmed"
        )
    return CannotDo(f"nothing is archived yet, {path} is not there; so nothing is trimmed")


def _as_data(report: TrimReport) -> dict[str, object]:
    return {
        "archive": report.archive,
        "dry_run": report.dry_run,
        "trimmed": report.trimmed,
        "left": report.left,
        "dropped_runs": report.dropped_runs,
        "freed_bytes": report.freed_bytes,
        "partitions": report.partitions,
    }


def _show(report: TrimReport) -> None:
    table(
        ("partition", "trimmed", "left", "held back by"),
        [
            (p.partition, p.trimmed, p.left, str(p.held_by) if p.held_by else "")
            for p in report.partitions
        ],
    )
    note(_told(report))


def _follow(session: Session, report: TrimReport) -> None:
    """Tell of a round that did something."""
    if not (report.trimmed or report.dropped_runs):
        return
    if session.as_json:
        emit(_as_data(report))
    else:
        click.echo(_told(report))


def _told(report: TrimReport) -> str:
    did = "would leave" if report.dry_run else "left"
    return f"{report.trimmed:,} entries {did} the log, {report.dropped_runs:,} runs {did} Redis"
