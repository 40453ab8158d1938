"""What tests of consumer groups share: a handler that remembers, and runs to hand out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from faults import soon
from samples import notes

from eventstore import Append, EventStore, RecordedEvent, SyncEventStore
from eventstore.groups import Backoff, ConsumerGroup

AT_ONCE = Backoff(first_ms=1, max_ms=5)
SOON_MS = 300
"""How long members are silent until others take over, where a test waits for that."""


class Seen:
    """A handler that remembers what it was given, in order."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []

    async def __call__(self, event: RecordedEvent) -> None:
        self.events.append(event)

    def reached(self, count: int) -> bool:
        """Say whether so many events were handled."""
        return len(self.events) >= count

    @property
    def places(self) -> list[tuple[str, int]]:
        """Run and version of each event, in the order of handling."""
        return [(event.run_id, event.version) for event in self.events]

    def by_run(self) -> dict[str, list[int]]:
        """The versions of each run, in the order of their first handling."""
        return first_handlings(self.places)


def first_handlings(places: list[tuple[str, int]]) -> dict[str, list[int]]:
    """Give the versions of each run, in the order in which each was handled first."""
    runs: defaultdict[str, dict[int, None]] = defaultdict(dict)
    for run_id, version in places:
        runs[run_id].setdefault(version)
    return {run_id: list(versions) for run_id, versions in runs.items()}


class Notebook:
    """Where members in other processes write what they handled, so that no kill loses it.

    A line is a run id and a version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def places(self) -> list[tuple[str, int]]:
        """Run and version of each event, in the order of handling."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(run_id, int(version)) for run_id, _, version in (x.partition(" ") for x in lines)]

    def reached(self, count: int) -> bool:
        """Say whether so many events were handled."""
        return len(self.places) >= count


async def fill(
    store: EventStore, runs: int, each: int = 5, name: str = "run"
) -> dict[str, list[int]]:
    """Append runs, their events interleaved; give what a group must then have seen."""
    for _ in range(each):
        outcomes = await store.append_many(Append(f"{name}-{n}", notes(1)) for n in range(runs))
        for outcome in outcomes:
            assert not isinstance(outcome, Exception), outcome
    return {f"{name}-{n}": list(range(1, each + 1)) for n in range(runs)}


@asynccontextmanager
async def serving(group: ConsumerGroup) -> AsyncIterator[asyncio.Task[None]]:
    """Run a group beside the test, and stop it in the end."""
    task = asyncio.create_task(group.run())
    try:
        yield task
    finally:
        if not task.done():
            await group.stop()
        await task


def pending(store: EventStore | SyncEventStore, admin: Any, group: str) -> int:
    """Count what the server still holds as delivered and not acknowledged."""
    keys = store.operations.keys
    logs = [keys.log(partition) for partition in range(keys.partitions)]
    return sum(admin.xpending(log, group)["pending"] for log in logs)


async def until(condition: Callable[[], object], serving: asyncio.Task[None]) -> None:
    """Wait for a condition while a group serves, whose own error goes first."""
    await soon(lambda: condition() or serving.done(), within_s=20)
    if serving.done():
        serving.result()
