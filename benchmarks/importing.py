"""Importing a file of histories and projecting it, in one process, from end to end."""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.projecting import new_file, project
from benchmarks.servers import busy_of
from benchmarks.shares import watching_sqlite
from eventstore import SyncEventStore
from eventstore.keys import Keys
from projections.projector import DEFAULT_BATCH_EVENTS
from replay.importing import Importer

PARTITIONS = 16
RUNS = 2_000
"""Runs of the file that is made where none is given: some 23,000 events."""


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure the import with its projection, and without."""
    path = ground.data or samples.write_histories(ground.folder / "runs.gz", ground.scaled(RUNS))
    shares: list[dict[str, float]] = []
    yield Contest(
        f"import {path.name}",
        "events",
        [Contender("the same with floor a and 1 INSERT", lambda: _plainly(ground, path))],
        [
            Contender("import and project", lambda: _with_shares(ground, path, shares)),
            Contender("import alone", lambda: _import(ground, path)),
        ],
        lambda: _described(shares),
    )


def _import(ground: Ground, path: Path, *, and_project: bool = False) -> int:
    namespace = ground.new_name("import")
    with SyncEventStore.open(ground.url, namespace=namespace, partitions=PARTITIONS) as store:
        written = Importer(store).run(path).written
        if and_project:
            assert project(store, new_file(ground)) == written
    return written


def _with_shares(ground: Ground, path: Path, shares: list[dict[str, float]]) -> int:
    """Import and project, and note whose processor time it took."""
    with ground.client() as client, watching_sqlite() as sqlite:
        server_busy_s = busy_of(client)
        server_s, all_s, start_s = server_busy_s(), time.process_time(), time.perf_counter()
        written = _import(ground, path, and_project=True)
        seconds = time.perf_counter() - start_s
        client_s = time.process_time() - all_s - sqlite.seconds
        server_s = server_busy_s() - server_s
    busy_s = client_s + server_s + sqlite.seconds
    shares.append(
        {
            "seconds": seconds,
            "ours": client_s / busy_s,
            "Redis": server_s / busy_s,
            "SQLite": sqlite.seconds / busy_s,
        }
    )
    return written


def _described(shares: list[dict[str, float]]) -> dict[str, Any]:
    """Give the medians, without the round that warmed up."""
    middle = {name: statistics.median(one[name] for one in shares[1:]) for name in shares[0]}
    whose = ", ".join(f"{name} {middle[name]:.0%}" for name in ("ours", "Redis", "SQLite"))
    return {
        "import and project": f"{middle['seconds']:.2f} s from end to end",
        "processor time": whose,
    }


def _plainly(ground: Ground, path: Path) -> int:
    """Read each line, write it with floor a, read it back, insert one row an event."""
    keys = Keys(ground.new_name("plain"), 1)
    with gzip.open(path) as file:
        lines = [(orjson.loads(line)["run_id"], line) for line in file]
    with ground.client() as client:
        versions: dict[str, int] = {}
        for start in range(0, len(lines), floors.PIPELINE_CALLS):
            pipeline = client.pipeline(transaction=False)
            for run_id, line in lines[start : start + floors.PIPELINE_CALLS]:
                versions[run_id] = version = versions.get(run_id, 0) + 1
                pipeline.xadd(keys.log(0), {"r": run_id, "v": version, "e": line})
            pipeline.execute()
        return floors.project(client, keys, new_file(ground), DEFAULT_BATCH_EVENTS)
