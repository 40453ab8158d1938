"""What a change would write, without writing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eventstore import (
    NewEvent,
    RunClosed,
    RunStoreError,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.appends import Append, prepare
from eventstore.commands import head, server_time
from eventstore.due_index import due_timers
from eventstore.events import DELETED
from eventstore.operations import Operations
from eventstore.plan import Appends, Plan
from eventstore.timers import DueTimer

T = TypeVar("T")
_WRITES = frozenset({"settle", "heartbeat", "due", "parking/blank"})
"""Scripts that change something besides appends."""


class Rehearsed(RunStoreError):
    """The change could be made; ``append`` is what it would write, None for nothing."""

    append: Append | None

    def __init__(self, append: Append | None) -> None:
        super().__init__("this was only a rehearsal: nothing was written", append=append)


def rehearse(operations: Operations, plan: Plan[T]) -> Plan[T | Append]:
    """Run a plan up to its first write; give what it would append, or its result if it reads on.

    An append that would be refused now is refused here, by the same error at the same place. A
    plan that would only tidy an index gives what it gives then.
    """
    try:
        step = next(plan)
        while True:
            try:
                if isinstance(step, Append):
                    yield from _check(operations, step)
                    return step
                result = _without_writing(step)
                if result is None:
                    result = yield step
            except RunStoreError as error:
                step = plan.throw(error)
            else:
                step = plan.send(result)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]
    finally:
        plan.close()


def _check(operations: Operations, append: Append) -> Plan[None]:
    """Raise what the append would raise: for its events, or for the run as it stands."""
    prepared = prepare(append, operations.settings)
    (found,) = yield [head(operations.keys, append.run_id)]
    version = found.version if found else 0
    if found and found.closed and (found.deleted or not _only_deletes(append)):
        raise RunClosed(append.run_id, version)
    if not prepared.expected.holds(version):
        raise WrongExpectedVersion(append.run_id, prepared.expected.value, version)


def _only_deletes(append: Append) -> bool:
    events = [append.events] if isinstance(append.events, NewEvent) else append.events
    return [event.type for event in events] == [DELETED]


def _without_writing(step: Any) -> list[bool] | None:
    if isinstance(step, Appends):
        raise TypeError("a rehearsal takes plans that append to one run")
    if isinstance(step, Sequence) and any(command.script in _WRITES for command in step):
        return [True for _ in step]
    return None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Stands in for a ``SyncEventStore``: whatever would append raises ``Rehearsed`` instead."""

    store: SyncEventStore

    @property
    def operations(self) -> Operations:
        """The plans of the store."""
        return self.store.operations

    @property
    def identity(self) -> str:
        """The identity of the store."""
        return self.store.identity

    def perform(self, plan: Plan[T]) -> T:
        """Run a plan that reads; raise ``Rehearsed`` for one that would append."""
        result = self.store.perform(rehearse(self.operations, plan))
        if isinstance(result, Append):
            raise Rehearsed(result)
        return result


def look_at_due(
    operations: Operations, limit: int, *, stalls: bool
) -> Plan[tuple[list[DueTimer], int]]:
    """Read up to ``limit`` timers of each partition that are due, and as of when; takes none."""
    (now_ms,) = yield [server_time()]
    keys = operations.keys
    index = keys.stalls if stalls else keys.due
    pages = yield [due_timers(index(p), now_ms, limit) for p in range(keys.partitions)]
    found = sorted((timer for page in pages for timer in page), key=lambda due: due.due_ms)
    return found[:limit], now_ms
