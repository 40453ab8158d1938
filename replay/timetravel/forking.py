"""Forks: a run of its own that begins as another one did.

A fork holds copies of the parent's first events, each at its own version, with its own id and
times, so that at that version it is what its parent was. It is written in one append: it is
there whole or not at all. The append's id is made of what is copied, so the same call again,
from whichever process, recognises its own work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eventstore import (
    NO_RUN,
    InvalidArgument,
    NewEvent,
    RecordedEvent,
    RunClosed,
    RunNotFound,
    WrongExpectedVersion,
)
from eventstore.appends import Append, AppendResult, prepare
from eventstore.events import ENDS
from eventstore.events.identifiers import check_run_id
from eventstore.operations import Operations
from eventstore.plan import Plan
from replay.timetravel.past import At, Past

MAX_FORK_BYTES = 67_108_864
"""The most bytes of events that one fork copies: they travel to the server at once."""
FORKED_FROM = "forked_from"
"""The name in an event's ``meta`` of the run that it was copied from."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A run that was forked, or would be.

    Up to ``parent_version`` it has its parent's events; ``version`` is its own last one by then.
    ``events`` counts what was copied. ``already_there`` says that the same call had made it
    before. ``cleared`` and ``kept`` are the nodes that a rerun left out, and those whose later
    events it took along.
    """

    run_id: str
    version: int
    parent: str
    parent_version: int
    events: int
    already_there: bool = False
    cleared: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a fork besides its events."""

    run_id: str
    patch: dict[str, Any] | None = None
    actor: str | None = None
    dry_run: bool = False


def fork(operations: Operations, run_id: str, at: At, order: Order) -> Plan[Fork]:
    """Copy a run's events up to a version or a time to a new run."""
    check_run_id(order.run_id)
    events = yield from events_until(operations, run_id, at)
    if not events:
        raise InvalidArgument(
            f"run {run_id!r} had no event by then, so there is nothing to fork; append to "
            f"{order.run_id!r} to begin it",
            run_id=run_id,
        )
    return (yield from copy(operations, events, len(events), order))


def events_until(operations: Operations, run_id: str, at: At) -> Plan[list[RecordedEvent]]:
    """Read what is to be copied. Raises ``InvalidArgument`` if it is more than may be."""
    past = Past(operations, run_id, at)
    events: list[RecordedEvent] = []
    most = operations.settings.max_copied_events
    while not past.done and len(events) <= most:
        events += yield from past.next_page()
    if len(events) > most:
        raise InvalidArgument(
            f"a fork copies {most:,} events at most, and run {run_id!r} has more by then; fork an "
            "earlier version, or raise max_copied_events",
            run_id=run_id,
        )
    return events


def copy(
    operations: Operations, events: Sequence[RecordedEvent], parent_version: int, order: Order
) -> Plan[Fork]:
    """Write a run that holds these events, of which the first ``parent_version`` are its parent's.

    A patch is an event of its own behind them.
    """
    asked = _append(events, parent_version, order)
    made = Fork(
        run_id=order.run_id,
        version=len(events) + (order.patch is not None),
        parent=events[0].run_id,
        parent_version=parent_version,
        events=len(events),
    )
    if order.dry_run:
        prepare(asked, operations.settings)
        yield from _check_free(operations, order.run_id)
        return made
    try:
        result: AppendResult = yield asked
    except RunClosed as closed:  # it is the new run's id that is taken
        raise WrongExpectedVersion(order.run_id, NO_RUN.value, closed.version) from closed
    return replace(made, already_there=result.deduplicated)


def _append(events: Sequence[RecordedEvent], parent_version: int, order: Order) -> Append:
    copies = [copied(event, parent_version) for event in events]
    size_bytes = sum(len(one.encoded) for one in copies)
    if size_bytes > MAX_FORK_BYTES:
        raise InvalidArgument(
            f"a fork copies {MAX_FORK_BYTES:,} bytes at most, not {size_bytes:,}; fork an "
            "earlier version",
            size_bytes=size_bytes,
        )
    name = f"fork:{_digest(copies, order)}"
    if order.patch is not None:
        _check_open(events, order)
        meta = {} if order.actor is None else {"actor": order.actor}
        copies.append(NewEvent("run.patched", {"patch": order.patch}, id=name, meta=meta))
    return Append(order.run_id, copies, NO_RUN, append_id=name, is_copy=True)


def copied(event: RecordedEvent, parent_version: int) -> NewEvent:
    """Make the copy of an event: the same fact, at the same time, of the fork."""
    data = event.data
    if event.type == "run.created":
        data = {**data, "parent": event.run_id, "parent_version": parent_version}
    return NewEvent(
        event.type,
        data,
        workflow_id=event.workflow_id,
        id=event.id,
        occurred_at=event.occurred_at,
        meta={**event.meta, FORKED_FROM: event.run_id},
        schema_version=event.schema_version,
    )


def _digest(copies: Iterable[NewEvent], order: Order) -> str:
    """Sum up what is asked, so that the same is recognised when it is asked again."""
    content = hashlib.blake2b(repr((order.run_id, order.patch, order.actor)).encode())
    for one in copies:
        content.update(one.encoded)
    return content.hexdigest()[:64]


def _check_open(events: Sequence[RecordedEvent], order: Order) -> None:
    ended = next((event for event in events if event.type in ENDS), None)
    if ended is not None:
        raise InvalidArgument(
            f"run {ended.run_id!r} had ended at version {ended.version}: a fork can be patched "
            f"that has its events up to version {ended.version - 1} at most",
            run_id=order.run_id,
            version=ended.version,
        )


def _check_free(operations: Operations, run_id: str) -> Plan[None]:
    try:
        head = yield from operations.head(run_id)
    except RunNotFound:
        return
    raise WrongExpectedVersion(run_id, NO_RUN.value, head.version)
