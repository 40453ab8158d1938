"""What a run was, at any version or time. Only reads."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from eventstore import EventStore, InvalidArgument, RecordedEvent, SyncEventStore
from eventstore.checks import check_count
from eventstore.operations import Operations
from eventstore.plan import Plan
from projections.state import RunState, fold

At = int | datetime | None


def state_at(operations: Operations, run_id: str, at: At) -> Plan[RunState]:
    """Fold a run's events up to a version or a time; None means all of them."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidArgument("a time needs its zone: use datetime.now(UTC), or add +00:00")
        known = yield from operations.load(run_id)
        return _at_version(run_id, list(takewhile(lambda e: e.occurred_at <= at, known)))
    if at is None:
        return fold((yield from operations.load(run_id)))
    check_count("version", at, least=0)
    reader = operations.reader(run_id, limit=max(at, 1))
    events: list[RecordedEvent] = []
    while not reader.done:
        events += yield from reader.next_page()
    if at > len(events):
        raise InvalidArgument(
            f"run {run_id!r} has {len(events)} versions, there is no version {at}",
            run_id=run_id,
            version=at,
        )
    return _at_version(run_id, events[:at])


def _at_version(run_id: str, events: list[RecordedEvent]) -> RunState:
    return fold(events, RunState(run_id=run_id))


class TimeTravel:
    """Reads the past of an ``EventStore``'s runs."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def state_at(self, run_id: str, at: At = None) -> RunState:
        """Give a run's state at a version, or at a time by when its events occurred.

        Version 0, or a time before the run, gives the state before its first event. Raises
        ``RunNotFound``, and ``InvalidArgument`` for a version that the run does not have.
        """
        return await self._store.perform(state_at(self._store.operations, run_id, at))


class SyncTimeTravel:
    """Reads the past of a ``SyncEventStore``'s runs; the blocking twin of ``TimeTravel``."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store

    def state_at(self, run_id: str, at: At = None) -> RunState:
        """Give a run's state at a version or a time; see ``TimeTravel.state_at``."""
        return self._store.perform(state_at(self._store.operations, run_id, at))
