"""What a run was at a version or a time: its events up to there, folded."""

from __future__ import annotations

import logging

from eventstore import EventStore, LogRegressed, RecordedEvent, SyncEventStore
from eventstore.operations import Operations
from eventstore.plan import Plan
from projections.state import RunState
from replay.timetravel.past import At, Past, check_at
from replay.timetravel.snapshots import Snapshot, SnapshotFile, in_us

SNAPSHOT_EVENTS = 1_000
"""So many events are folded before a state is worth keeping."""
MAX_NEW_SNAPSHOTS = 64
"""The most states that one fold keeps; of a longer run they are further apart."""

_log = logging.getLogger("runstore.timetravel")


class Folding:
    """Folds a run up to a version or a time, from the nearest state that is known."""

    def __init__(
        self,
        store: EventStore | SyncEventStore,
        run_id: str,
        at: At,
        snapshots: SnapshotFile | None = None,
    ) -> None:
        self._store = store
        self._operations: Operations = store.operations
        self._run_id = run_id
        self._at = check_at(at)
        self._snapshots = snapshots
        self._start: Snapshot | None = None
        self._made: list[Snapshot] = []
        self._deleted = False

    def find_start(self) -> None:
        """Look for a state to begin at. Reads a file."""
        if self._snapshots is not None:
            self._start = self._snapshots.find(self._store, self._run_id, self._at)

    def plan(self) -> Plan[RunState]:
        """Fold. Raises as ``TimeTravel.state_at`` does."""
        if self._snapshots is None:
            return (yield from self._plan(None))
        head = yield from self._operations.head(self._run_id)
        self._deleted = head.deleted
        start = None if head.deleted else self._start
        if start is not None and start.version > head.version:
            known, found = f"version {start.version}", f"version {head.version}"
            raise LogRegressed(f"run {self._run_id!r}", known, found)
        return (yield from self._plan(start))

    def keep(self) -> None:
        """Keep the states that are worth it, unless the run was deleted. Writes a file."""
        if self._snapshots is None:
            return
        if self._deleted:
            self._snapshots.forget(self._store, self._run_id)
        elif self._made:
            self._snapshots.keep(self._store, self._run_id, self._made)

    def _plan(self, start: Snapshot | None) -> Plan[RunState]:
        """Fold from a state on; the event that it was taken after is read again and compared."""
        state = RunState(self._run_id) if start is None else RunState.from_json(start.state)
        latest_us = -(2**62) if start is None else start.latest_us
        past = Past(self._operations, self._run_id, self._at, max(0, state.version - 1))
        kept, unproven = state.version, start
        while not past.done:
            page = yield from past.next_page()
            if unproven is not None:
                # No event here is one that occurred later than what is asked for.
                if not page or not unproven.fits(page[0]):
                    _log.warning("run %r has another history than its snapshot", self._run_id)
                    return (yield from self._plan(None))
                del page[0]
                unproven = None
            for event in page:
                state.apply(event)
                latest_us = max(latest_us, in_us(event.occurred_at))
                if state.version - kept >= self._apart(past.end):
                    self._take(state, event, latest_us)
                    kept = state.version
        return state

    def _take(self, state: RunState, event: RecordedEvent, latest_us: int) -> None:
        if self._snapshots is not None:
            self._made.append(Snapshot.of(state, event, latest_us))

    @staticmethod
    def _apart(end: int) -> int:
        return max(SNAPSHOT_EVENTS, end // MAX_NEW_SNAPSHOTS)
