"""What is said of a run that was deleted, instead of that it was never there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from projections import Database


@contextmanager
def telling_deleted(database: Database, run: str | None) -> Iterator[None]:
    """Say that the run was deleted, when and why, where it cannot be found for that."""
    from eventstore.errors import RunNotFound  # noqa: PLC0415
    from projections import Runs  # noqa: PLC0415

    try:
        yield
    except RunNotFound:
        for deleted in Runs(database).deleted_runs(run_id=run).items if run else ():
            by = f" by {deleted.actor}" if deleted.actor else ""
            why = f": {deleted.reason}" if deleted.reason else ""
            raise click.ClickException(
                f"run {run!r} was deleted at {deleted.deleted_at:%Y-%m-%d %H:%M:%S}{by}{why}"
            ) from None
        raise
