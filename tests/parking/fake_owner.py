"""An owner of all partitions without any service: its leases are written by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeVar

from samples import notes
from servers import AnyServer

from eventstore import Append, NewEvent, Position, RecordedEvent, SyncEventStore
from eventstore.commands import Command
from eventstore.groups import commands
from eventstore.groups.hold import Hold, Membership
from eventstore.groups.parking import Failure, owner
from eventstore.plan import Plan

T = TypeVar("T")


def sent(command: Command[T]) -> Plan[T]:
    """Send one command."""
    (result,) = yield [command]
    return result  # type: ignore[no-any-return]


def failure(message: str = "it broke", **details: Any) -> Failure:
    """Describe an error."""
    told: dict[str, Any] = {
        "kind": "ValueError",
        "traceback": "Traceback: in handle",
        "deliveries": 5,
        "first_ms": 1_000,
        "last_ms": 2_000,
    }
    return Failure(message=message, **told | details)


class FakeOwner:
    """A member of group ``g`` that holds every partition."""

    def __init__(
        self, store: SyncEventStore, server: AnyServer, group: str = "g", epoch: int = 1
    ) -> None:
        self.store = store
        self.server = server
        self.keys = store.operations.keys
        self.who = Membership(self.keys, group, f"member-{epoch}")
        self.epoch = epoch
        self.seen: dict[tuple[str, int], RecordedEvent] = {}
        self.is_parked = False
        """What the server last said of a run whose events were held back."""

    def create_group(self) -> FakeOwner:
        """Make the group on all partitions, at their beginning."""
        for partition in range(self.keys.partitions):
            log = self.keys.log(partition)
            self.server.admin.xgroup_create(log, self.who.group, "0", mkstream=True)
        settings = {"start": "beginning", "created_ms": 1_000}
        self.store.perform(sent(commands.register(self.keys, self.who.group, settings)))
        return self

    def take(self) -> FakeOwner:
        """Take the leases."""
        for partition in range(self.keys.partitions):
            lease = {"owner": self.who.member, "epoch": self.epoch}
            self.server.admin.hset(self.keys.lease(partition, self.who.group), mapping=lease)
        return self

    def hold(self, run_id: str) -> Hold:
        """Give the hold on a run's partition."""
        return Hold(self.who, self.keys.partition_of(run_id), self.epoch)

    def append(self, run_id: str, count: int = 1, **more: Any) -> None:
        """Append events to a run."""
        events = [NewEvent(e.type, e.data, **more) for e in notes(count)]
        self.store.append(run_id, events)

    def append_all(self, run_ids: list[str], count: int = 1) -> None:
        """Append events to many runs."""
        outcomes = self.store.append_many(Append(run_id, notes(count)) for run_id in run_ids)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]

    def read(self) -> list[RecordedEvent]:
        """Take all events that the group was not given yet; they are pending then."""
        events = []
        for partition in range(self.keys.partitions):
            streams = {self.keys.log(partition): ">"}
            reply = self.server.admin.xreadgroup(
                self.who.group, self.who.member, streams, count=100_000
            )
            events += [self._event(partition, *entry) for _, rows in reply for entry in rows]
        return events

    def read_pending(self) -> list[RecordedEvent]:
        """Give the events that are pending, whoever took them."""
        admin, events = self.server.admin, []
        for partition in range(self.keys.partitions):
            log = self.keys.log(partition)
            for row in admin.xpending_range(log, self.who.group, "-", "+", 100_000):
                ((entry_id, fields),) = admin.xrange(log, row["message_id"], row["message_id"])
                events.append(self._event(partition, entry_id, fields))
        return events

    def _event(self, partition: int, entry_id: bytes, fields: dict[bytes, bytes]) -> RecordedEvent:
        flat = [part for item in fields.items() for part in item]
        event = self.store.operations.decoder.log_entry(partition, entry_id, flat)
        self.seen[event.run_id, event.version] = event
        return event

    def event(self, run_id: str, version: int) -> RecordedEvent:
        """Give an event that was read."""
        return self.seen[run_id, version]

    def pending(self) -> set[tuple[str, int]]:
        """Give run and version of what is pending, of what was read."""
        waiting: set[Position] = set()
        for partition in range(self.keys.partitions):
            rows = self.server.admin.xpending_range(
                self.keys.log(partition), self.who.group, "-", "+", 100_000
            )
            waiting |= {Position.at_entry(partition, row["message_id"]) for row in rows}
        return {place for place, event in self.seen.items() if event.position in waiting}

    def park(
        self, run_id: str, version: int, told: Failure | None = None, handled: tuple[int, ...] = ()
    ) -> bool | None:
        """Park an event that was read."""
        event, before = self.event(run_id, version), self._places(run_id, handled)
        command = owner.park(
            self.hold(run_id), event, told or failure(), [position for _, position in before]
        )
        return self.store.perform(sent(command))

    def hold_back(self, run_id: str, *versions: int) -> frozenset[int] | None:
        """Set later events aside."""
        places = self._places(run_id, versions)
        held = self.store.perform(sent(owner.hold_back(self.hold(run_id), run_id, places)))
        self.is_parked = held is not None and held.is_parked
        return None if held is None else held.versions

    def _places(self, run_id: str, versions: tuple[int, ...]) -> list[tuple[int, Position]]:
        return [(version, self.event(run_id, version).position) for version in versions]

    def begin(self, run_id: str, version: int, attempt: int = 1) -> bool | None:
        """Begin to handle an event of a redriven run."""
        command = owner.begin_redrive(self.hold(run_id), run_id, version, attempt)
        return self.store.perform(sent(command))

    def release(self, run_id: str, version: int) -> int | None:
        """End it well."""
        return self.store.perform(sent(owner.release(self.hold(run_id), run_id, version)))

    def park_again(
        self,
        run_id: str,
        version: int,
        told: Failure | None = None,
        event: RecordedEvent | None = None,
    ) -> bool | None:
        """End it badly."""
        failed = event or self.event(run_id, version)
        command = owner.park_again(self.hold(run_id), failed, told or failure())
        return self.store.perform(sent(command))

    def redrives(self, limit: int = 1_000) -> list[owner.Redrive]:
        """Give what is to be redriven, of all partitions."""
        holds = [Hold(self.who, p, self.epoch) for p in range(self.keys.partitions)]
        lists = [self.store.perform(sent(owner.redrives(hold, limit))) for hold in holds]
        return [run for runs in lists for run in runs]

    def set_aside(self) -> dict[str, tuple[int, int, str]]:
        """Give first, last and state of each parked run, after a check of all that is kept."""
        found = {}
        admin = self.server.admin
        for partition in range(self.keys.partitions):
            names = (partition, self.who.group)
            entries = dict(admin.xrange(self.keys.dead(*names)))
            asked = admin.lrange(self.keys.redrive(*names), 0, -1)
            states: defaultdict[str, list[bytes]] = defaultdict(list)
            dead_ids = set()
            for run_id, record in admin.hgetall(self.keys.parked(*names)).items():
                dead, first, last, state, *_ = record.decode().split()
                dead_ids.add(dead.encode())
                states[state].append(run_id)
                assert entries[dead.encode()][b"r"] == run_id
                assert int(first) <= int(last)
                found[run_id.decode()] = (int(first), int(last), state)
            assert dead_ids == entries.keys(), "each parked run has one dead entry"
            assert sorted(asked) == sorted(states["redrive"]), "the list has each redriven run once"
        return found
