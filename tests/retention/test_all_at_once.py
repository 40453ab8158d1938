"""Writer, archiver, trimmer, followers, readers and a group side by side: nobody misses any."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from faults import soon
from samples import ended, notes

from eventstore import ConsumerGroup, EventStore, Position, RecordedEvent
from eventstore.archive import Archiver
from eventstore.retention import Trimmer
from retention.ground import Ground

SEED = 20_261_121
APPENDS = 600
WITHIN_S = 60


@contextmanager
def running(*services: Callable[[threading.Event], object]) -> Iterator[None]:
    """Let services run in threads of their own; raise what one of them ran into."""
    stop, failures = threading.Event(), list[BaseException]()

    def run(service: Callable[[threading.Event], object]) -> None:
        try:
            service(stop)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(WITHIN_S)
    assert not failures, failures


class Everybody:
    """All who work on one store, each with a connection of its own, and what they have seen."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.written = threading.Event()
        self.followed: list[RecordedEvent] = []
        self.handled: list[RecordedEvent] = []
        self._keep_untrimmed()

    def _keep_untrimmed(self) -> None:
        """Let nothing be trimmed that is not kept yet, to compare with."""
        kept = {number: log[-1].position for number, log in self.ground.log.items() if log}
        self.ground.store.perform(self.ground.store.operations.report_reader("twin", kept))

    def write(self) -> None:
        """Write runs, of which some end."""
        chance, ends = random.Random(SEED), set[str]()
        for number in range(APPENDS):
            run = f"run-{chance.randrange(number // 10 + 1)}"
            is_last = chance.random() < 0.2
            if run not in ends:
                self.ground.append(run, *notes(chance.randrange(1, 6)), *[ended()][: int(is_last)])
                self._keep_untrimmed()
            if is_last:
                ends.add(run)
        self.written.set()

    def archive(self, stop: threading.Event) -> None:
        with (
            self.ground.open() as store,
            self.ground.opened_archive() as archive,
            Archiver(store, archive, batch_events=50, block_ms=5) as archiver,
        ):
            archiver.run(stop)

    def trim(self, stop: threading.Event) -> None:
        with self.ground.open() as store:
            Trimmer(store, max_trim_entries=100).run(stop, every_ms=5)

    def follow(self, _: threading.Event) -> None:
        reached: dict[int, Position] = {}
        with self.ground.open() as store:
            while not (self.written.is_set() and reached == store.tails()):
                for event in store.read_log(reached, limit=7, block_ms=20):
                    reached[event.position.partition] = event.position
                    self.followed.append(event)

    def read(self, stop: threading.Event) -> None:
        chance = random.Random(SEED)
        with self.ground.open() as store:
            while not stop.is_set():
                run, events = chance.choice([("", []), *self.ground.runs.items()])
                known = list(events)
                assert not known or store.load(run)[: len(known)] == known

    async def handle(self) -> None:
        ground = self.ground
        async with EventStore.open(
            ground.server.url, namespace=ground.namespace, partitions=2, archive=ground.path
        ) as store:
            group = ConsumerGroup(store, "all", self.handled.append, create=True)
            service = asyncio.create_task(group.run())
            await soon(lambda: self.written.is_set() and self.has_handled_all, WITHIN_S)
            await group.stop()
            await service

    @property
    def has_handled_all(self) -> bool:
        return len(self.handled) >= len(self.ground.all)


async def test_nobody_misses_anything_while_all_go_on(ground: Ground) -> None:
    all_of_them = Everybody(ground)

    with running(all_of_them.archive, all_of_them.trim, all_of_them.follow, all_of_them.read):
        await asyncio.gather(asyncio.to_thread(all_of_them.write), all_of_them.handle())

    for partition, log in ground.log.items():
        assert [e for e in all_of_them.followed if e.position.partition == partition] == log
        assert ground.length(partition) < len(log), "nothing was trimmed meanwhile"
    for run, events in ground.runs.items():
        assert [event for event in all_of_them.handled if event.run_id == run] == events
        assert ground.store.load(run) == events
