"""Settles lines in a store: appends what is new, and compares what is there already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from eventstore import (
    Append,
    AppendResult,
    ImportFailed,
    RecordedEvent,
    RunClosed,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import changes_of
from replay.transfer.histories import Line

Group = list[Line]
"""Lines that follow each other in one run."""


@dataclass(slots=True)
class Sent:
    """What became of a batch; ``refused`` has an error for each line that was not taken."""

    written: int = 0
    already_there: int = 0
    refused: list[ImportFailed] = field(default_factory=list)


class Sender:
    """Sends batches of lines to a store, the lines of each run in one append.

    ``ended`` holds the numbers of the ``run.paused`` lines that set no timer. Where the store
    tells another history than the lines of a run, these are refused from there on.
    """

    def __init__(self, store: SyncEventStore, ended: Collection[int]) -> None:
        self._store = store
        self._ended = ended
        self._stored: dict[str, int] = {}
        """How far the store was ahead of the lines of a run, where it was."""
        self._refused: dict[str, str] = {}

    def send(self, lines: Iterable[Line]) -> Sent:
        """Settle a batch. Raises what the store raises."""
        groups: dict[str, Group] = {}
        for line in lines:
            groups.setdefault(line.run_id, []).append(line)
        sent = Sent()
        waiting = list(groups.values())
        while waiting:
            waiting = self._append(self._compare(waiting, sent), sent)
        return sent

    def _compare(self, groups: Sequence[Group], sent: Sent) -> list[Group]:
        """Count the lines that are stored already, and give the others."""
        behind = [group for group in groups if self._count_stored(group)]
        pages = self._store.perform(_stored_events(self._store.operations, behind))
        new = []
        for group in groups:
            stored = self._count_stored(group)
            events = pages.get(group[0].run_id, [])
            same = _count_same(group[:stored], events)
            sent.already_there += same
            if same < stored:
                self._refuse(group[same:], _difference(group[same], events[same:]), sent)
            elif reason := self._refused.get(group[0].run_id):
                self._refuse(group[same:], reason, sent)
            elif group[stored:]:
                new.append(group[stored:])
        return new

    def _count_stored(self, group: Group) -> int:
        return min(len(group), max(0, self._stored.get(group[0].run_id, 0) - group[0].version + 1))

    def _append(self, groups: Sequence[Group], sent: Sent) -> list[Group]:
        """Append, and give the groups of those runs that are further in the store."""
        outcomes = self._store.append_many(map(self._append_of, groups))
        further = []
        for group, outcome in zip(groups, outcomes, strict=True):
            if isinstance(outcome, AppendResult):
                sent.written += len(group)
                continue
            if not isinstance(outcome, (WrongExpectedVersion, RunClosed)):
                raise outcome
            ended = isinstance(outcome, RunClosed)
            actual = outcome.version if isinstance(outcome, RunClosed) else outcome.actual
            if actual < group[0].version:
                self._refuse(group, _gap(group[0], actual, ended=ended), sent)
            else:
                self._stored[group[0].run_id] = actual
                further.append(group)
        return further

    def _append_of(self, group: Group) -> Append:
        first = group[0]
        timed = [line.event for line in group if line.number not in self._ended]
        return Append(
            first.run_id,
            [line.event for line in group],
            first.version - 1,
            timers=changes_of(first.run_id, timed) if len(timed) < len(group) else None,
        )

    def _refuse(self, group: Group, reason: str, sent: Sent) -> None:
        self._refused[group[0].run_id] = reason
        sent.refused += (ImportFailed(line.number, reason) for line in group)


def _stored_events(
    operations: Operations, groups: Sequence[Group]
) -> Plan[dict[str, list[RecordedEvent]]]:
    """Read what is stored in the place of each group, all in one exchange."""
    if not groups:
        return {}
    pages = yield from operations.run_parts(
        [(group[0].run_id, group[0].version - 1, group[-1].version + 1) for group in groups]
    )
    return {group[0].run_id: page for group, page in zip(groups, pages, strict=True)}


def _count_same(group: Group, events: Sequence[RecordedEvent]) -> int:
    """Count the lines, from the first on, that are the stored events."""
    pairs = enumerate(zip_longest(group, events[: len(group)]))
    different = (n for n, (line, event) in pairs if not event or event.id != line.event.id)
    return next(different, len(group))


def _difference(line: Line, events: Sequence[RecordedEvent]) -> str:
    stored = f"{events[0].type} with id {events[0].id}" if events else "missing"
    return (
        f"version {line.version} of run {line.run_id!r} is {line.event.type} with id "
        f"{line.event.id} here, and {stored} in the store; they tell different histories, so the "
        "run was left as it is there"
    )


def _gap(line: Line, actual: int, *, ended: bool) -> str:
    where = f"run {line.run_id!r}"
    if ended:
        return f"{where} ended at version {actual} in the store; version {line.version} is too late"
    return (
        f"version {line.version} of {where} does not follow version {actual}, the last one in the "
        "store; import what comes between first"
    )
