"""``runstore import`` and ``runstore export``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from replay.cli.options import Command
from replay.cli.output import emit, note, progress
from replay.cli.session import Session

if TYPE_CHECKING:
    from eventstore import ImportFailed
    from replay.importing import ImportReport

FORMAT = click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv", "cloudevents", "parquet"]),
    help="Else the name of FILE tells.",
)
MAX_TOLD = 10


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--skip-bad", is_flag=True, help="Count lines that cannot be taken, and go on.")
@FORMAT
@click.pass_obj
def import_(session: Session, file: str, *, skip_bad: bool, kind: str | None) -> None:
    """Append the events of a file.

    FILE may be gzip; - is stdin. Each line is a JSON object with run_id and type, and may have
    data, workflow_id, occurred_at, meta, and what exports add; or it is in another format, which
    its name tells (.csv, .parquet, .cloudevents.jsonl) or --format. A file that comes twice, or
    again after a kill, changes nothing that is there. A pause that a later line resumes sets no
    timer.
    """
    from eventstore import ImportFailed  # noqa: PLC0415
    from replay.importing import Importer  # noqa: PLC0415

    bad = _BadLines()
    with session.store(create=True) as store, progress("importing", 1.0) as tell:
        importer = Importer(
            store,
            format=kind,
            skip_bad=skip_bad,
            on_bad=bad.note,
            on_progress=lambda done, total: tell(done / (total or 1)),
        )
        try:
            report = importer.run(sys.stdin.buffer if file == "-" else file)
        except ImportFailed:
            stored = importer.report.written + importer.report.already_there
            note(f"events stored from before that line: {stored:,}")
            raise
    bad.note_rest()
    _print(session, report)


class _BadLines:
    """Tells of the first bad lines, and how many more there were."""

    def __init__(self) -> None:
        self._count = 0

    def note(self, bad: ImportFailed) -> None:
        self._count += 1
        if self._count <= MAX_TOLD:
            note(f"left out: {bad}")

    def note_rest(self) -> None:
        if self._count > MAX_TOLD:
            note(f"left out: {self._count - MAX_TOLD:,} more")


def _print(session: Session, report: ImportReport) -> None:
    if session.as_json:
        emit({**asdict(report), "events_per_second": report.events_per_second})
        return
    waiting = report.waiting_seconds / report.seconds if report.seconds else 0
    click.echo(
        f"{report.written:,} events written, {report.already_there:,} already there, "
        f"{report.runs:,} runs, {report.bad:,} bad lines; {report.seconds:.1f} s, "
        f"{waiting:.0%} of them waiting for the server; {report.events_per_second:,.0f} events/s"
    )
    if report.written:
        note("to see them: runstore project run --to-end, then runstore stats")


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Only this run; may come again.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only runs of this workflow.")
@FORMAT
@click.pass_obj
def export(
    session: Session, file: str, runs: tuple[str, ...], workflow_id: str | None, kind: str | None
) -> None:
    """Write events as JSON lines, CSV, CloudEvents or Parquet.

    They go to FILE, or to stdout. A FILE that ends in .gz is compressed; it appears when it is
    complete. Its name tells the format (.csv, .parquet, .cloudevents.jsonl), or --format does.
    An import of it into an empty store gives the same histories.
    """
    from replay.exporting import export_events  # noqa: PLC0415

    with session.store() as store:
        total = sum(tail.n for tail in store.tails().values())
        with progress("exporting", total) as tell:
            written = export_events(
                store,
                sys.stdout.buffer if file == "-" else file,
                kind,
                run_ids=runs or None,
                workflow_id=workflow_id,
                on_progress=tell,
            )
    if file == "-":
        return
    if session.as_json:
        emit({"events": written, "file": file})
    else:
        note(f"{written:,} events written to {file}")
