"""Archiving the log of whole runs: digests, chains and seals, each batch on the disk."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import floors, samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from benchmarks.projecting import new_file
from eventstore import Append
from eventstore.archive import Archive, Archiver
from eventstore.archive.archiver import DEFAULT_BATCH_EVENTS


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure an archiver that begins with a new file."""
    with opened(ground, "archive") as stores:
        runs = samples.histories(ground.scaled(1_500))
        stores.blocking.append_many(Append(*run) for run in runs)
        client = ground.client()
        yield Contest(
            f"archive, batches of {DEFAULT_BATCH_EVENTS:,}, each on the disk",
            "events",
            [
                Contender(
                    "XREAD + orjson + 1 INSERT an event, as safe",
                    lambda: floors.project(
                        client, stores.keys, new_file(ground), DEFAULT_BATCH_EVENTS, "FULL"
                    ),
                )
            ],
            [Contender("events, chains, seals", lambda: _archive(ground, stores))],
        )


def _archive(ground: Ground, stores: Stores) -> int:
    keys, identity = stores.keys, stores.blocking.identity
    with (
        Archive.open(
            new_file(ground),
            identity=identity,
            namespace=keys.namespace,
            partitions=keys.partitions,
        ) as archive,
        Archiver(stores.blocking, archive) as archiver,
    ):
        return archiver.run_to_end()
