"""Rebuilding projections beside their live rows: a log of whole runs, and a million events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.many_runs import GeneratedLog
from benchmarks.opened import opened
from benchmarks.projecting import new_file, project
from eventstore import Append, SyncEventStore
from projections import Projector, open_database, rebuild
from projections.feed import DEFAULT_BATCH_EVENTS

RUNS = 50_000


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure rebuilds of all built-in projections against what projecting is measured against."""
    found = _many(new_file(ground), ground.scaled(RUNS))
    with opened(ground, "rebuild") as stores:
        store, client, path = stores.blocking, ground.client(), new_file(ground)
        store.append_many(Append(*run) for run in samples.histories(ground.scaled(1_500)))
        project(store, path)
        yield Contest(
            "rebuild, with the switch",
            "events",
            [
                Contender(
                    "XREAD + orjson + 1 INSERT an event",
                    lambda: floors.project(
                        client, stores.keys, new_file(ground), DEFAULT_BATCH_EVENTS
                    ),
                )
            ],
            [Contender("all built-in projections", lambda: _rebuild(store, path))],
            lambda: found,
        )


def _rebuild(store: SyncEventStore, path: Path) -> int:
    with open_database(path) as database:
        return rebuild(store, database).events


def _many(path: Path, runs: int) -> dict[str, Any]:
    """Rebuild generated runs; say how fast, and how long writers wait.

    The time that it takes to make the events does not count.
    """
    with open_database(path) as database:
        with Projector(GeneratedLog(runs), database) as projector:
            projector.run_to_end()
        log = GeneratedLog(runs)
        done = rebuild(log, database)
    with sqlite3.connect(path) as plain:
        ((size_bytes,),) = plain.execute(
            "SELECT (page_count - freelist_count) * page_size "
            "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
    return {
        f"{done.events:,} events, a second": round(
            done.events / (done.seconds - done.switch_seconds - log.generating_s)
        ),
        "then the switch, seconds that writers wait": round(done.switch_seconds, 2),
        "for rows of MB": round(size_bytes / 1e6),
    }
