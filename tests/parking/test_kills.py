"""Killed between any two calls, parking loses nothing, doubles nothing, and keeps the order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from uuid import uuid4

from servers import AnyServer

from eventstore import RecordedEvent, SyncEventStore
from eventstore.groups.parking import ParkedFilter, SyncParked
from parking.fake_owner import FakeOwner
from parking.serving import Book, Killed, Mortal, Service

RUNS = [f"run-{n}" for n in range(4)]
Stage = Callable[[Mortal], object]


class Life:
    """A group's whole life: some runs fail, are redriven, fail again, are discarded."""

    def __init__(self, server: AnyServer, store: SyncEventStore) -> None:
        self.server = server
        self.store = store
        self.fake = FakeOwner(store, server).create_group()
        self.book = Book()
        self.broken: set[tuple[str, int]] = {("run-1", 2), ("run-2", 1), ("run-3", 3)}
        self._epochs = count(1)

    def _fails(self, event: RecordedEvent) -> bool:
        return (event.run_id, event.version) in self.broken

    def serve(self, store: Mortal) -> None:
        Service(store, self.server, self.book, self._fails, next(self._epochs)).serve()

    def stages(self) -> list[Stage]:
        def redrive(store: Mortal) -> None:
            # run-2 is repaired only in part: it will fail at its next event
            self.broken = {("run-2", 2), ("run-3", 3)}
            chosen = ParkedFilter()
            SyncParked(store, "g").redrive(chosen)  # type: ignore[arg-type]

        def discard(store: Mortal) -> None:
            SyncParked(store, "g").discard("run-3")  # type: ignore[arg-type]

        def repair(store: Mortal) -> None:
            self.broken = set()
            SyncParked(store, "g").redrive("run-2")  # type: ignore[arg-type]

        return [self.serve, redrive, self.more, self.serve, discard, repair, self.serve]

    def more(self, _store: object = None) -> None:
        self.fake.append_all(RUNS, 2)

    def check(self) -> None:
        """All is handled in order, but what was discarded; and nothing is left behind."""
        for run_id in RUNS:
            there = [event.version for event in self.store.load(run_id)]
            wanted = [1, 2] if run_id == "run-3" else there
            assert self.book.first_handlings(run_id) == wanted, run_id
        assert self.fake.set_aside() == {}
        assert self.fake.read_pending() == []


def live(server: AnyServer, dies_after: int) -> bool:
    """Go through a life in which a process dies after so many calls; say whether one did."""
    with SyncEventStore.open(server.url, namespace=f"t-{uuid4().hex[:12]}", partitions=2) as store:
        life = Life(server, store)
        life.fake.append_all(RUNS, 3)
        mortal, died = Mortal(store, dies_after), False
        try:
            for stage in life.stages():
                try:
                    stage(mortal)
                except Killed:
                    died = True
                    stage(mortal)  # by the next process
            life.check()
        finally:
            server.forget(life.fake.keys.namespace)
        return died


def test_killed_after_any_call_it_goes_on_where_it_was(server: AnyServer) -> None:
    for dies_after in count(1):
        if not live(server, dies_after):
            break
    assert dies_after > 50, "there were calls to die after"
