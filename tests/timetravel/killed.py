"""Forks in processes that are killed at the first, the second, … step, until one run is clean.

Run with the server's URL; prints at how many steps it was killed.
"""

from __future__ import annotations

import itertools
import sys

from archive.killed import open_store, survives
from samples import ended, notes

from eventstore import NewEvent, RunNotFound, SyncEventStore
from replay import SyncTimeTravel

EVENTS = 1_500


def fork_killed(url: str) -> int:
    """Fork a run of more events than one append takes."""
    with open_store(url) as store:
        created = NewEvent("run.created", {"input": 1})
        store.append("parent", [created, *notes(999)])
        store.append("parent", [*notes(EVENTS - 1_000), ended()])
        before = [event.id for event in store.load("parent")]
        known = count(store)
    for kill_at in itertools.count(1):
        new = f"fork-{kill_at}"

        def fork(new: str = new) -> None:
            with open_store(url) as store:
                SyncTimeTravel(store).fork("parent", EVENTS, new, {"a": 1}, actor="ann")

        survived = survives(fork, kill_at)
        with open_store(url) as store:
            try:
                version = store.head(new).version
            except RunNotFound:
                version = 0
            assert version in (0, EVENTS + 1), f"half a fork at step {kill_at}: {version}"
            assert count(store) == known + version
            again = SyncTimeTravel(store).fork("parent", EVENTS, new, {"a": 1}, actor="ann")
            assert again.already_there == bool(version), f"step {kill_at}"
            assert [event.id for event in store.load(new)][:EVENTS] == before[:EVENTS]
            assert store.head("parent").version == EVENTS + 1
            known = count(store)
        if survived:
            return kill_at
    raise AssertionError


def count(store: SyncEventStore) -> int:
    """Count all entries of the log."""
    return sum(end.n for end in store.tails().values())


if __name__ == "__main__":
    print(fork_killed(sys.argv[1]))  # noqa: T201 - read by the test
