"""Goes through what a group has parked, page by page."""

from __future__ import annotations

from collections.abc import Collection

from eventstore.events import Position
from eventstore.groups.parking import queries
from eventstore.groups.parking.parked_filter import (
    ParkedFilter,
    Place,
    after,
    before,
    first_of,
    last_of,
    place_of,
)
from eventstore.groups.parking.parked_run import ParkedRun
from eventstore.groups.parking.queries import DeadPage
from eventstore.keys import Keys
from eventstore.plan import Plan


class Scan:
    """Reads the chosen runs of each partition by the time they were parked.

    ``page_runs`` bounds what is read of all partitions in one exchange. ``start`` is a place
    after which, in the order asked for, it begins.
    """

    def __init__(
        self,
        keys: Keys,
        group: str,
        chosen: ParkedFilter,
        page_runs: int,
        *,
        newest_first: bool = False,
        start: Position | None = None,
    ) -> None:
        self._keys = keys
        self._group = group
        self._chosen = chosen
        self._newest_first = newest_first
        self._limit = -(-page_runs // keys.partitions)
        run_id = chosen.run_id
        partitions = range(keys.partitions) if run_id is None else [keys.partition_of(run_id)]
        spans = {partition: self._first_span(partition, start) for partition in partitions}
        self._spans = {p: (low, high) for p, (low, high) in spans.items() if low <= high}

    def _first_span(self, partition: int, start: Position | None) -> tuple[Place, Place]:
        low, high = self._chosen.span(partition)
        if start is None:
            return low, high
        if self._newest_first:
            # The start itself stays out: in its own partition, the place just before it.
            edge = last_of(partition, start)
            return low, min(high, before(edge) if partition == start.partition else edge)
        return max(low, first_of(partition, start)), high

    @property
    def open(self) -> Collection[int]:
        """The partitions of which there may be more."""
        return self._spans.keys()

    def end_at_present(self) -> Plan[None]:
        """Leave out what is parked from now on, such as runs that fail again meanwhile."""
        if not self._spans:
            return
        newest: list[DeadPage] = yield [
            queries.page(self._keys, self._group, partition, span, 1, newest_first=True)
            for partition, span in self._spans.items()
        ]
        self._spans = {
            partition: (low, page.last)
            for (partition, (low, _)), page in zip(self._spans.items(), newest, strict=True)
            if page.last is not None
        }

    def next_pages(self, partitions: Collection[int]) -> Plan[dict[int, list[ParkedRun]]]:
        """Read the next page of open partitions; gives the chosen runs, in order."""
        if self._chosen.run_id is not None:
            return (yield from self._only_run(self._chosen.run_id))
        pages: list[DeadPage] = yield [
            queries.page(
                self._keys,
                self._group,
                partition,
                self._spans[partition],
                self._limit,
                newest_first=self._newest_first,
            )
            for partition in partitions
        ]
        found = {}
        for partition, page in zip(partitions, pages, strict=True):
            found[partition] = [run for run in page.runs if self._chosen.accepts(run)]
            self._go_behind(partition, page.last)
        return found

    def _go_behind(self, partition: int, last: Place | None) -> None:
        low, high = self._spans.pop(partition)
        if last is not None:
            span = (low, before(last)) if self._newest_first else (after(last), high)
            if span[0] <= span[1]:
                self._spans[partition] = span

    def _only_run(self, run_id: str) -> Plan[dict[int, list[ParkedRun]]]:
        ((partition, (low, high)),) = self._spans.items()
        self._spans = {}
        (run,) = yield [queries.one(self._keys, self._group, run_id)]
        if run is None or not self._chosen.accepts(run):
            return {}
        return {partition: [run]} if low <= place_of(run.place) <= high else {}
