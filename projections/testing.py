"""Testing projections of one's own: given these events, then these rows. No server, no file.

    def test_tokens_of_a_call_are_kept():
        call = NewEvent("call.completed", {"call_id": "c", "usage": {"tokens": 3}})
        given(CostReport, [call]).then("SELECT tokens FROM call_costs", [(3,)])

Each check makes the rows anew in memory, and raises ``AssertionError`` saying what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from zlib import crc32

from eventstore.clock import to_ms
from eventstore.events import NewEvent, Position, RecordedEvent
from projections.database import Transaction
from projections.objects import tables_of
from projections.projection import Projection
from projections.scratch import scratch, take

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
RUN = "run-1"
_PARTITIONS = 16

Events = Iterable[NewEvent | RecordedEvent]
Rows = dict[str, list[tuple[Any, ...]]]


def given(
    projection: type[Projection] | Projection, events: Events | Mapping[str, Events]
) -> Given:
    """Take events of one run, or of several by their ids, as the projection will see them.

    New events are recorded one a second from 2024-01-01 on; the runs follow one another.
    """
    made = projection() if isinstance(projection, type) else projection
    runs = events if isinstance(events, Mapping) else {RUN: events}
    return Given(made, [one for run_id, some in runs.items() for one in recorded(run_id, some)])


class Given:
    """A projection and the events that it gets; made by ``given``."""

    def __init__(self, projection: Projection, events: Sequence[RecordedEvent]) -> None:
        self._projection = projection
        self._events = events

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Give what a query finds when all events are taken in."""
        with scratch(self._projection) as tx:
            take(tx, self._projection.fresh(), self._events)
            return tx.execute(sql, parameters)

    def then(self, sql: str, expected: Iterable[tuple[Any, ...]], *parameters: Any) -> Self:
        """Check what a query finds."""
        found, wanted = self.rows(sql, *parameters), list(expected)
        if found != wanted:
            raise AssertionError(f"{sql}\nfound    {found}\nexpected {wanted}")
        return self

    def is_idempotent(self) -> Self:
        """Check that an event taken twice leaves the rows as if it were taken once.

        A projector gives each event once. Who feeds the projection from somewhere else as well,
        or repairs rows by hand, needs this: rows keyed by run and version or by an id in the
        data, written with INSERT OR REPLACE, instead of sums that grow.
        """
        twice = [event for event in self._events for _ in range(2)]
        return self._check_same(twice, [twice], "an event that is taken twice changes the rows")

    def is_the_same_in_any_batches(self) -> Self:
        """Check that neither the size of batches nor a restart in between changes the rows."""
        single = [[event] for event in self._events]
        return self._check_same(self._events, single, "the rows depend on the size of batches")

    def _check_same(
        self, events: Sequence[RecordedEvent], batches: list[list[RecordedEvent]], problem: str
    ) -> Self:
        once = self._taken([list(self._events)])
        other = self._taken(batches)
        for table, rows in once.items():
            if other[table] != rows:
                raise AssertionError(
                    f"{problem}: table {table} has\n{rows}\nand then, for {len(events)} events,\n"
                    f"{other[table]}"
                )
        return self

    def _taken(self, batches: list[list[RecordedEvent]]) -> Rows:
        """Take batches, each by an instance that knows nothing of those before."""
        with scratch(self._projection) as tx:
            for batch in batches:
                take(tx, self._projection.fresh(), batch)
            return _all_rows(tx, self._projection)


def recorded(run_id: str, events: Events) -> list[RecordedEvent]:
    """Record new events as a store would; recorded ones stay what they are."""
    found: list[RecordedEvent] = []
    for number, event in enumerate(events, start=1):
        if isinstance(event, RecordedEvent):
            found.append(event)
            continue
        moment = EPOCH + timedelta(seconds=number)
        before = found[-1].workflow_id if found else None
        place = Position(crc32(run_id.encode()) % _PARTITIONS, to_ms(moment), number)
        found.append(
            RecordedEvent(
                id=event.id,
                type=event.type,
                run_id=run_id,
                version=number,
                workflow_id=event.workflow_id or before,
                data=event.data,
                meta=event.meta,
                schema_version=event.schema_version,
                occurred_at=event.occurred_at or moment,
                recorded_at=moment,
                position=place,
            )
        )
    return found


def _all_rows(tx: Transaction, projection: Projection) -> Rows:
    tables = tables_of(projection)
    return {table: sorted(tx.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
