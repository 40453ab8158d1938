"""Archives deletions in processes that are killed at the first, the second, … step."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import redis
from archive.filing import archived, ask, fill, opened
from archive.killed import open_store, survives
from samples import deleted

from eventstore.archive import verify
from eventstore.retention import Trimmer

LEFT = "SELECT count(*) FROM events WHERE event IS NOT NULL"


def make(url: str, path: Path) -> None:
    """Make a store of which two runs are deleted, and an archive that knows nothing of that."""
    with redis.Redis.from_url(url) as admin:
        admin.flushall()
    with open_store(url) as store:
        fill(store, runs=3, events=3)
        archived(store, path)
        store.append("run-0", deleted())
        store.append("run-1", deleted())


def deletions_killed(url: str, folder: Path) -> int:
    for kill_at in itertools.count(1):
        path = folder / f"{kill_at}.db"
        make(url, path)

        def archive(path: Path = path) -> None:
            with open_store(url) as store:
                archived(store, path, batch_events=1)
                Trimmer(store, path).run_once()

        survived = survives(archive, kill_at)
        assert survives(archive, 0), f"a kill at step {kill_at} left what cannot be opened"
        with open_store(url) as store, opened(store, path, read_only=True) as found:
            result = verify(found, store=store)
            heads = [store.head(run).deleted for run in ("run-0", "run-1", "run-2")]
        told = (result.exit_code, result.events, result.erased, ask(path, LEFT)[0][0])
        assert told == (0, 11, 6, 5), f"a kill at step {kill_at}: {result}"
        assert heads == [True, True, False]
        if survived:
            return kill_at
    raise AssertionError


if __name__ == "__main__":
    print(deletions_killed(sys.argv[1], Path(sys.argv[2])))  # noqa: T201 - read by the test
