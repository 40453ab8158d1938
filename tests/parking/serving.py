"""A small service that parks and redrives as it should, and can be killed after any call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from servers import AnyServer

from eventstore import RecordedEvent, SyncEventStore
from eventstore.commands import Command
from eventstore.groups.parking import Redrive, owner
from eventstore.plan import Plan
from parking.fake_owner import FakeOwner, failure, sent

T = TypeVar("T")
MAX_DELIVERIES = 3


class Killed(Exception):
    """The process ends here."""


class Mortal:
    """Sends the calls of plans one by one, and dies after a number of them."""

    def __init__(self, store: SyncEventStore, calls: int) -> None:
        self._store = store
        self._calls_left = calls

    @property
    def operations(self) -> Any:
        return self._store.operations

    def perform(self, plan: Plan[T]) -> T:
        try:
            step: Any = next(plan)
            while True:
                step = plan.send([self._send(command) for command in step])
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            plan.close()

    def _send(self, command: Command[Any]) -> Any:
        result = self._store.perform(sent(command))
        self._calls_left -= 1
        if not self._calls_left:
            raise Killed
        return result


class Book:
    """What was handled, by whichever process; it checks the order as it is written."""

    def __init__(self) -> None:
        self.handled: defaultdict[str, list[int]] = defaultdict(list)
        self._through: defaultdict[str, int] = defaultdict(int)

    def note(self, event: RecordedEvent) -> None:
        """Note that an event is handled."""
        done = self.handled[event.run_id]
        through = self._through[event.run_id]
        assert event.version > through, f"{event.run_id} {event.version} after {through}"
        assert event.version <= max(done, default=0) + 1, "nothing was passed over"
        done.append(event.version)

    def through(self, run_id: str, version: int) -> None:
        """Note that the server knows a version to be through."""
        self._through[run_id] = max(self._through[run_id], version)

    def first_handlings(self, run_id: str) -> list[int]:
        """Give the versions in the order in which each was handled first."""
        return list(dict.fromkeys(self.handled[run_id]))


class Service:
    """One life of a service: it takes the leases and works until nothing is left to do."""

    def __init__(
        self,
        store: Mortal,
        server: AnyServer,
        book: Book,
        fails: Callable[[RecordedEvent], bool],
        epoch: int,
    ) -> None:
        self._fake = FakeOwner(store, server, epoch=epoch)  # type: ignore[arg-type]
        self._store = store
        self._book = book
        self._fails = fails
        self._parked: set[str] = set()
        self._unacknowledged: defaultdict[str, list[RecordedEvent]] = defaultdict(list)

    def serve(self) -> None:
        """Handle what is pending, what is new, and what is asked for again."""
        self._fake.take()
        for partition in range(self._fake.keys.partitions):
            self._parked |= self._store.perform(
                owner.parked_runs(self._fake.keys, self._fake.who.group, partition, 3)
            )
        for event in [*self._fake.read_pending(), *self._fake.read()]:
            self._take(event)
        for run_id in list(self._unacknowledged):
            self._acknowledge(run_id)
        for run in self._fake.redrives():
            self._redrive(run)

    def _take(self, event: RecordedEvent) -> None:
        run_id = event.run_id
        if run_id in self._parked:
            held = self._fake.hold_back(run_id, event.version)
            assert held is not None, "nobody took the lease"
            if held:
                return
            if not self._fake.is_parked:
                self._parked.discard(run_id)
        if self._fails(event):
            before = tuple(done.version for done in self._unacknowledged[run_id])
            assert self._fake.park(run_id, event.version, failure(), before)
            self._parked.add(run_id)
            del self._unacknowledged[run_id]
            if before:
                self._book.through(run_id, before[-1])
            return
        self._book.note(event)
        self._unacknowledged[run_id].append(event)

    def _acknowledge(self, run_id: str) -> None:
        events = self._unacknowledged.pop(run_id)
        log = self._fake.keys.log(events[0].position.partition)
        ids = [event.position.entry_id for event in events]
        words = ("XACK", log, self._fake.who.group, *ids)
        self._store.perform(sent(Command(words, int)))
        self._book.through(run_id, events[-1].version)

    def _redrive(self, run: Redrive) -> None:
        attempt, last, version = run.begun + 1, run.last, run.first
        while last and version <= last:
            event = self._load(run.run_id, version)
            if attempt > MAX_DELIVERIES or not self._try(event, attempt):
                assert self._fake.park_again(run.run_id, version, failure("again"), event)
                return
            left = self._fake.release(run.run_id, version)
            assert left is not None, "nobody took the lease"
            self._book.through(run.run_id, version)
            attempt, last, version = 1, left, version + 1
        self._parked.discard(run.run_id)

    def _try(self, event: RecordedEvent, attempt: int) -> bool:
        assert self._fake.begin(event.run_id, event.version, attempt)
        if self._fails(event):
            return False
        self._book.note(event)
        return True

    def _load(self, run_id: str, version: int) -> RecordedEvent:
        events = self._store.perform(self._store.operations.load(run_id, version - 1))
        event: RecordedEvent = events[0]
        return event
