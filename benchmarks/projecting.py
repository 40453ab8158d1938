"""Projecting the log of whole runs into SQLite: runs, nodes, pauses, checkpoints, timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import opened
from eventstore import Append, SyncEventStore
from projections import Projection, Projector, RunProjection, TimelineProjection, open_database
from projections.projector import BUILT_IN, DEFAULT_BATCH_EVENTS


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure all built-in projections, and each alone."""
    with opened(ground, "project") as stores:
        appends = [Append(*run) for run in samples.histories(ground.scaled(1_500))]
        stores.blocking.append_many(appends)
        client, store = ground.client(), stores.blocking

        def work(projections: tuple[type[Projection], ...]) -> int:
            return project(store, new_file(ground), projections)

        yield Contest(
            f"project, batches of {DEFAULT_BATCH_EVENTS:,}",
            "events",
            [
                Contender(
                    "XREAD + orjson + 1 INSERT an event",
                    lambda: floors.project(
                        client, stores.keys, new_file(ground), DEFAULT_BATCH_EVENTS
                    ),
                )
            ],
            [
                Contender("all built-in projections", lambda: work(BUILT_IN), target=0.4),
                Contender("runs, nodes, pauses alone", lambda: work((RunProjection,))),
                Contender("timeline alone", lambda: work((TimelineProjection,))),
            ],
        )


def new_file(ground: Ground) -> Path:
    """Give the path of a database that isn't there yet."""
    return ground.folder / f"{ground.new_name('file')}.db"


def project(
    store: SyncEventStore, path: Path, projections: tuple[type[Projection], ...] = BUILT_IN
) -> int:
    """Project the whole log into a new database."""
    with open_database(path) as database, Projector(store, database, projections) as projector:
        return projector.run_to_end()
