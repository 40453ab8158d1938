"""A group that was away while history flowed: what Redis held meanwhile, and how it catches up."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson

from benchmarks import samples
from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.opened import Stores, opened
from benchmarks.retaining import let_go, used_bytes
from eventstore import Append, ConsumerGroup, RecordedEvent
from eventstore.groups.bounds import DEFAULT_BATCH_EVENTS

RUNS = 34_000
"""Of 14.9 events each: half a million."""
AT_ONCE = 1_000
"""Runs that are written before they are archived and trimmed."""
MIB = 1 << 20


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure a group that begins in the archive and ends at the end of the log."""
    path = ground.folder / f"{ground.new_name('return')}.archive.db"
    with opened(ground, "return", path) as stores:
        away = Away(ground, stores)
        stores.run(away.serve())  # it handled what there was, which is nothing, and left
        memory = _flow(ground, stores, path, ground.scaled(RUNS))
        handled = stores.run(away.serve())
        found = {"Redis meanwhile": memory, "the group then": f"handled {handled:,}, in order"}
        yield Contest(
            f"a group made late, {handled:,} events archived and trimmed",
            "events",
            [Contender("SELECT + orjson", lambda: _read(path))],
            [Contender("from the archive to live", lambda: _serve_late(ground, stores))],
            lambda: found,
        )


class Away:
    """A group whose handler insists on order."""

    def __init__(self, ground: Ground, stores: Stores) -> None:
        self._name = ground.new_name("group")
        self._stores = stores
        self._versions: Counter[str] = Counter()

    async def serve(self) -> int:
        """Handle everything there is."""
        store = self._stores.asynchronous
        return await ConsumerGroup(store, self._name, self._handle, create=True).run_to_end()

    async def _handle(self, event: RecordedEvent) -> None:
        self._versions[event.run_id] += 1
        assert event.version == self._versions[event.run_id], event


def _flow(ground: Ground, stores: Stores, path: Path, runs: int) -> str:
    """Write, archive and trim by turns; tell how the server's memory went."""
    histories, sizes = samples.histories(runs), list[int]()
    while slice_ := [Append(*run) for run in islice(histories, AT_ONCE)]:
        stores.blocking.append_many(slice_)
        full = used_bytes(ground)
        # No grace: who is away is away.
        let_go(stores.blocking, path, group_grace_ms=1)
        sizes.append(used_bytes(ground))
    grown = (sizes[-1] - sizes[0]) / max(1, runs - AT_ONCE)
    return (
        f"{sizes[0] / MIB:.1f} MiB after the first {AT_ONCE:,} runs, {sizes[-1] / MIB:.1f} after "
        f"{runs:,} ({grown:,.0f} bytes an ended run), {full / MIB:.1f} before the last were let go"
    )


async def _nothing(_event: RecordedEvent) -> None:
    pass


def _serve_late(ground: Ground, stores: Stores) -> int:
    async def serve() -> int:
        name = ground.new_name("group")
        return await ConsumerGroup(stores.asynchronous, name, _nothing, create=True).run_to_end()

    return stores.run(serve())


def _read(path: Path) -> int:
    """Read the archive's events page by page, in the order of the log."""
    database = sqlite3.connect(path)
    query = "SELECT place, event FROM events WHERE place > ? ORDER BY place LIMIT ?"
    done, place = 0, 0
    while rows := database.execute(query, (place, DEFAULT_BATCH_EVENTS)).fetchall():
        for _, event in rows:
            orjson.loads(event)
        place, done = rows[-1][0], done + len(rows)
    database.close()
    return done
