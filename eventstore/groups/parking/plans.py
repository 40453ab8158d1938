"""What can be done about parked runs, as plans for the asyncio and the blocking form."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from eventstore.checks import check_count
from eventstore.commands import Command
from eventstore.errors import CorruptEvent, HistoryGap, InvalidArgument, RunNotFound
from eventstore.events import Position, RecordedEvent, check_name, check_run_id
from eventstore.groups import commands
from eventstore.groups.joining import unknown_group
from eventstore.groups.parking import queries
from eventstore.groups.parking.parked_filter import ParkedFilter
from eventstore.groups.parking.parked_run import ParkedDetails, ParkedPage, ParkedRun
from eventstore.groups.parking.scan import Scan
from eventstore.keys import Keys
from eventstore.operations import Operations
from eventstore.plan import Plan

MAX_LIMIT = 1_000
"""The most runs of one page."""

ORDERS = ("parked", "-parked")
ALL = ParkedFilter()

Change = Callable[[Keys, str, int, Sequence[ParkedRun]], Command[int]]


def check_group(operations: Operations, group: str) -> Plan[None]:
    """Raise ``UnknownGroup`` unless there is such a group."""
    check_name("group name", group)
    (registered,) = yield [commands.read_registration(operations.keys, group)]
    if registered is None:
        raise (yield from unknown_group(operations, group))


def list_parked(
    operations: Operations,
    group: str,
    chosen: ParkedFilter,
    order: str,
    limit: int,
    cursor: str | None,
) -> Plan[ParkedPage]:
    """Read a page of parked runs."""
    check_count("limit", limit)
    if limit > MAX_LIMIT:
        raise InvalidArgument(f"limit must be 1 to {MAX_LIMIT}, not {limit}")
    if order not in ORDERS:
        raise InvalidArgument(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    start = _read_cursor(cursor)
    yield from check_group(operations, group)
    newest_first = order.startswith("-")
    page_runs = operations.settings.page_events
    keys = operations.keys
    scan = Scan(keys, group, chosen, page_runs, newest_first=newest_first, start=start)
    items = yield from _merged(scan, limit + 1, newest_first=newest_first)
    more = len(items) > limit
    return ParkedPage(items[:limit], str(items[limit - 1].place) if more else None)


def _read_cursor(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        return Position.parse(cursor)
    except (InvalidArgument, TypeError):
        raise InvalidArgument("this is no cursor; pass on next_cursor as it is") from None


def _merged(scan: Scan, limit: int, *, newest_first: bool) -> Plan[list[ParkedRun]]:
    """Bring the partitions' runs into one order. Of each, only a page is held."""
    waiting: dict[int, deque[ParkedRun]] = {partition: deque() for partition in scan.open}
    first = max if newest_first else min
    merged: list[ParkedRun] = []
    while len(merged) < limit:
        if empty := [partition for partition in scan.open if not waiting[partition]]:
            for partition, page in (yield from scan.next_pages(empty)).items():
                waiting[partition].extend(page)
            continue
        heads = [runs[0] for runs in waiting.values() if runs]
        if not heads:
            break
        chosen = first(heads, key=lambda run: (run.place.ms, run.place.n, run.place.partition))
        merged.append(waiting[chosen.place.partition].popleft())
    return merged


def count_parked(operations: Operations, group: str, chosen: ParkedFilter) -> Plan[int]:
    """Count parked runs."""
    yield from check_group(operations, group)
    if chosen.takes_all:
        partitions = range(operations.keys.partitions)
        counts = yield [queries.count(operations.keys, group, p) for p in partitions]
        return sum(counts)
    scan = Scan(operations.keys, group, chosen, operations.settings.page_events)
    total = 0
    while scan.open:
        pages = yield from scan.next_pages(list(scan.open))
        total += sum(map(len, pages.values()))
    return total


def show(
    operations: Operations, group: str, run_id: str, max_events: int
) -> Plan[ParkedDetails | None]:
    """Read one parked run, and the first of its events that are set aside."""
    check_run_id(run_id)
    check_count("max_events", max_events)
    yield from check_group(operations, group)
    run: ParkedRun | None
    (run,) = yield [queries.one(operations.keys, group, run_id)]
    if run is None:
        return None
    events, missing = yield from _set_aside(operations, run, max_events)
    return ParkedDetails(run, events, missing)


def _set_aside(
    operations: Operations, run: ParkedRun, limit: int
) -> Plan[tuple[list[RecordedEvent], str | None]]:
    events: list[RecordedEvent] = []
    wanted = min(limit, run.last_version - run.first_version + 1)
    reader = operations.reader(run.run_id, run.first_version - 1, wanted)
    try:
        while not reader.done:
            events += yield from reader.next_page()
    except (HistoryGap, RunNotFound, CorruptEvent) as error:
        return events, str(error)
    return events, None


def redrive(
    operations: Operations, group: str, which: str | ParkedFilter, *, dry_run: bool
) -> Plan[int]:
    """Ask for parked runs to be handled after all, those parked first first."""
    return (yield from _change(operations, group, which, queries.redrive, dry_run=dry_run))


def discard(
    operations: Operations, group: str, which: str | ParkedFilter, *, dry_run: bool
) -> Plan[int]:
    """Forget parked runs."""
    return (yield from _change(operations, group, which, queries.discard, dry_run=dry_run))


def _change(
    operations: Operations,
    group: str,
    which: str | ParkedFilter,
    change: Change,
    *,
    dry_run: bool,
) -> Plan[int]:
    """Change the chosen runs, a page at a time; gives how many were, or would be."""
    keys = operations.keys
    chosen = _chosen(which)
    yield from check_group(operations, group)
    scan = Scan(keys, group, chosen, operations.settings.page_events)
    yield from scan.end_at_present()
    changed = 0
    while scan.open:
        pages = yield from scan.next_pages(list(scan.open))
        meant = {p: _open_to(change, page) for p, page in pages.items()}
        calls = [change(keys, group, p, runs) for p, runs in meant.items() if runs]
        if dry_run:
            changed += sum(map(len, meant.values()))
        elif calls:
            changed += sum((yield calls))
    return changed


def _open_to(change: Change, runs: list[ParkedRun]) -> list[ParkedRun]:
    """Leave out what is to be redriven already, where that is what is asked."""
    return [run for run in runs if change is queries.discard or run.state == "parked"]


def _chosen(which: str | ParkedFilter) -> ParkedFilter:
    if isinstance(which, str):
        return ParkedFilter(run_id=which)
    if not isinstance(which, ParkedFilter):
        raise InvalidArgument(f"name a run or pass a ParkedFilter, not {which!r}")
    return which
