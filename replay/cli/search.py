"""``runstore search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replay.cli.listing import CSV, print_page
from replay.cli.options import CURSOR, LIMIT, Command, Moment
from replay.cli.output import Cell, to_json
from replay.cli.session import Session

if TYPE_CHECKING:
    from projections import Database, TimelineEntry


@click.command(cls=Command)
@click.argument("words", nargs=-1, required=True)
@click.option("--run", "run_id", metavar="RUN", help="Only in this run.")
@click.option("--workflow", "workflow_id", metavar="WORKFLOW", help="Only in its runs.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these types.")
@click.option("--source", "sources", multiple=True, metavar="SOURCE", help="Such as log, message.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only from then on.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only before.")
@LIMIT
@CURSOR
@CSV
@click.pass_obj
def search(
    session: Session,
    /,
    *,
    words: tuple[str, ...],
    types: tuple[str, ...],
    sources: tuple[str, ...],
    as_csv: bool,
    **filters: Any,
) -> None:
    """Find the events that hold all WORDS, the newest first.

    Case and accents do not matter; refun* stands for all words that begin so.
    """
    from projections import Timeline  # noqa: PLC0415

    with session.reading() as database:
        _feed(session, database)
        page = Timeline(database).search(
            " ".join(words), types=types or None, sources=sources or None, **filters
        )
    print_page(session, page, ("occurred", "run", "version", "type", "data"), _row, as_csv=as_csv)


def _row(entry: TimelineEntry) -> tuple[Cell, ...]:
    return entry.occurred_at, entry.run_id, entry.version, entry.type, to_json(entry.data)


def _feed(session: Session, database: Database) -> None:
    """Let the search take up what is new, where this may be written; else it is read as it is."""
    from eventstore.errors import RunStoreError  # noqa: PLC0415
    from projections.search import feed_search, has_backlog  # noqa: PLC0415

    if not has_backlog(database):
        return
    try:
        with session.writing() as writable:
            while feed_search(writable):
                pass
    except RunStoreError:
        return
