"""Many at once: redrives, discards, appends and a service that parks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TypeVar

from faults import eventually
from servers import AnyServer

from eventstore import RecordedEvent, Settings, SyncEventStore
from eventstore.groups.parking import ParkedFilter, SyncParked, plans
from parking.fake_owner import FakeOwner, sent
from parking.serving import Book, Mortal, Service

T = TypeVar("T")
EVERYTHING = ParkedFilter()
NEVER = 10**9
RUNS = [f"run-{n}" for n in range(12)]


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run them in threads that begin together."""
    ready = threading.Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        ready.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(begin, call) for call in calls]]


def park_many(owner: FakeOwner, many: int) -> list[str]:
    run_ids = [f"run-{n}" for n in range(many)]
    owner.append_all(run_ids)
    owner.read()
    for run_id in run_ids:
        owner.park(run_id, 1)
    return run_ids


def test_of_racing_redrives_each_run_goes_with_one(owner: FakeOwner) -> None:
    run_ids = park_many(owner, 200)
    parked = SyncParked(owner.store, "g")

    counts = at_once(*[lambda: parked.redrive(EVERYTHING)] * 4)

    assert sum(counts) == 200
    assert sorted(run.run_id for run in owner.redrives()) == sorted(run_ids)
    assert {state for _, _, state in owner.set_aside().values()} == {"redrive"}


def test_racing_redrives_and_discards_leave_nothing_by_halves(owner: FakeOwner) -> None:
    park_many(owner, 200)
    parked = SyncParked(owner.store, "g")

    _, discarded, _, more = at_once(
        lambda: parked.redrive(EVERYTHING),
        lambda: parked.discard(EVERYTHING),
        lambda: parked.redrive(EVERYTHING),
        lambda: parked.discard(EVERYTHING),
    )

    assert discarded + more == 200
    assert owner.set_aside() == {}
    assert owner.redrives() == []


class Race:
    """A service, somebody who redrives, and somebody who appends, until the last has enough."""

    def __init__(self, store: SyncEventStore, server: AnyServer) -> None:
        self.fake = FakeOwner(store, server).create_group()
        self.book = Book()
        self.asked = 0
        self._store = store
        self._epochs = count(1)
        self._failures: Counter[tuple[str, int]] = Counter()
        self._over = threading.Event()

    def _fails(self, event: RecordedEvent) -> bool:
        """Fail three times at every third event."""
        place = (event.run_id, event.version)
        self._failures[place] += 1
        return event.version % 3 == 0 and self._failures[place] <= 3

    def serve(self) -> None:
        store = Mortal(self._store, NEVER)
        Service(store, self.fake.server, self.book, self._fails, next(self._epochs)).serve()

    def redrive(self) -> int:
        asked = SyncParked(self._store, "g").redrive(EVERYTHING)
        self.asked += asked
        return asked

    def until_over(self, act: Callable[[], object]) -> None:
        while not self._over.is_set():
            act()

    def append(self) -> None:
        try:
            for number in range(15):
                self.fake.append_all(RUNS)
                eventually(lambda enough=number * 2 - 6: self.asked >= enough)  # type: ignore[misc]
        finally:
            self._over.set()


def test_redrives_race_with_a_service_that_parks_holds_and_releases(
    sync_store: SyncEventStore, server: AnyServer
) -> None:
    # given a handler that fails now and then
    race = Race(sync_store, server)
    # when it serves while all is redriven again and again, and more comes
    at_once(lambda: race.until_over(race.serve), lambda: race.until_over(race.redrive), race.append)
    race.serve()
    while race.redrive():
        race.serve()
    # then each run was handled whole and in order, and nothing is left behind
    for run_id in RUNS:
        assert race.book.first_handlings(run_id) == list(range(1, 16))
    assert race.fake.set_aside() == {}
    assert race.fake.read_pending() == []
    assert race.asked > 20


def test_a_redrive_of_all_ends_though_every_run_fails_again_meanwhile(
    owner: FakeOwner, server: AnyServer
) -> None:
    # given parked runs of which a redrive sees a few at a time
    run_ids = park_many(owner, 60)
    operations = replace(owner.store.operations, settings=Settings(page_events=16))
    # when each run that is asked for fails again at once
    plan = plans.redrive(operations, "g", EVERYTHING, dry_run=False)
    asked, step = None, next(plan)
    for _ in range(100):
        replies = [owner.store.perform(sent(command)) for command in step]  # type: ignore[union-attr]
        for run in owner.redrives():
            owner.begin(run.run_id, 1)
            owner.park_again(run.run_id, 1)
        try:
            step = plan.send(replies)
        except StopIteration as finished:
            asked = finished.value
            break
    # then each was asked for once
    assert asked == len(run_ids)
    assert {state for _, _, state in owner.set_aside().values()} == {"parked"}
