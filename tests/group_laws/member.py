"""A member of a group in a process of its own: ``python -m group_laws.member '{…}'``.

Its handler waits a little, fails, or ends the process, by chance or for certain runs, and notes
in the journal what it does. SIGTERM lets it leave in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from faults import soon

from eventstore import Delivery, EventStore, RecordedEvent, Service, Settings
from eventstore.groups import Backoff
from group_laws.journal import Journal


@dataclass
class Task:
    """What a member is to do."""

    url: str
    namespace: str
    journal: str
    member: str = ""
    group: str = "g"
    seed: int = 0
    lease_ms: int = 800
    patience_ms: int = 15_000
    """How long one call tries to reach the server."""
    max_deliveries: int = 1_000
    concurrency: int = 8
    batch_events: int = 64
    backoff_ms: int = 5
    fail_chance: float = 0.0
    exit_chance: float = 0.0
    longest_ms: float = 0.0
    fails: dict[str, int] = field(default_factory=dict)
    """By run, the version whose handler raises until the file ``healed`` is there."""
    dies: dict[str, int] = field(default_factory=dict)
    """By run, the version whose handler ends the process until then."""
    slow: dict[str, float] = field(default_factory=dict)
    """By run, how many milliseconds each of its events takes."""
    healed: str = ""
    gates: dict[str, str] = field(default_factory=dict)
    """By member, the file that must be there before a handler ends."""

    def words(self) -> list[str]:
        """The command that starts it."""
        return [sys.executable, "-m", "group_laws.member", json.dumps(asdict(self))]


class Handler:
    """Does to each event what the task says."""

    def __init__(self, task: Task, journal: Journal) -> None:
        self._task = task
        self._journal = journal
        self._chance = random.Random(task.seed)

    async def __call__(self, event: RecordedEvent, delivery: Delivery) -> None:
        self._journal.note("begun", event, delivery)
        try:
            await self._go_through(event)
        except RuntimeError:
            self._journal.note("failed", event, delivery)
            raise
        self._journal.note("ended", event, delivery)
        if self._chance.random() < self._task.exit_chance / 2:
            os._exit(1)

    async def _go_through(self, event: RecordedEvent) -> None:
        task, chance = self._task, self._chance
        if gate := task.gates.get(task.member):
            await soon(Path(gate).exists, within_s=60)
        pause_ms = task.slow.get(event.run_id, 0) + chance.random() * task.longest_ms
        if pause_ms:
            await asyncio.sleep(pause_ms / 1_000)
        if self._meets(task.dies, event) or chance.random() < task.exit_chance / 2:
            os._exit(1)
        if self._meets(task.fails, event) or chance.random() < task.fail_chance:
            raise RuntimeError("fails on purpose")

    def _meets(self, fates: dict[str, int], event: RecordedEvent) -> bool:
        return fates.get(event.run_id) == event.version and not Path(self._task.healed).exists()


def watch_the_clock(journal: Journal, limit_s: float) -> None:
    """Note whenever this process was held up, by a signal or for want of a processor."""
    before_s = time.monotonic()
    while True:
        time.sleep(limit_s / 8)
        now_s = time.monotonic()
        if now_s - before_s > limit_s:
            journal.write("slept")
        before_s = now_s


def main() -> None:
    """Serve until told to leave."""
    task = Task(**json.loads(sys.argv[1]))
    journal = Journal(task.journal, task.member)
    watch = (journal, task.lease_ms / 2_000)
    threading.Thread(target=watch_the_clock, args=watch, daemon=True).start()
    service = Service(
        task.group,
        create=True,
        member=task.member,
        concurrency=task.concurrency,
        batch_events=task.batch_events,
        lease_ms=task.lease_ms,
        max_deliveries=task.max_deliveries,
        backoff=Backoff(first_ms=task.backoff_ms, max_ms=4 * task.backoff_ms),
    )
    service.on()(Handler(task, journal))
    settings = Settings(append_timeout_ms=task.patience_ms)
    service.main(
        EventStore.open(task.url, namespace=task.namespace, partitions=None, settings=settings)
    )


if __name__ == "__main__":
    main()
