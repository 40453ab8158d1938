"""What recovery asks of the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from eventstore.archive.entry import Entry
from eventstore.commands import Command
from eventstore.decoding import Decoder
from eventstore.events import DELETED, ENDS, NewEvent, Position, RecordedEvent
from eventstore.keys import Keys
from eventstore.timers import AT, HANDOVER, Timer, TimerChange, changes_of
from eventstore.watches import watch_changes

_DECODER = Decoder()
"""Without upcasters: timers are those of the events as they were appended."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was put back: ``reason`` is ``tail``, ``version``, ``ahead`` or ``error``."""

    reason: str
    details: tuple[str, ...]

    def ends_at(self, position: Position) -> bool:
        """Whether the log ends at a position, which is why."""
        return self.reason == "tail" and self.details == (position.entry_id,)

    def __str__(self) -> str:
        told = " ".join(self.details)
        return {
            "tail": f"the log ends at {told} by now",
            "version": f"the head of a run does not fit: {told}",
            "ahead": f"the stream of a run is ahead of its head: {told}",
        }.get(self.reason, told)


def put_back(keys: Keys, previous: Position, entries: Sequence[Entry]) -> Command[Refusal | None]:
    """Put entries of one partition back behind the one that must be the log's last.

    Raises ``CorruptEvent`` for an entry that is not what was archived.
    """
    partition = previous.partition
    tag = keys.tag(partition)
    names = [keys.log(partition), keys.tail(partition), keys.due(partition)]
    names += (keys.watches(partition), keys.stalls(partition))
    arguments: list[Any] = [previous.entry_id, len(entries)]
    for entry in entries:
        names += (keys.run_in(tag, entry.run_id), keys.head_in(tag, entry.run_id))
        arguments += _fields(entry)

    def decode(reply: list[bytes]) -> Refusal | None:
        reason, *details = (part.decode(errors="replace") for part in reply)
        return None if reason == "ok" else Refusal(reason, tuple(details))

    return Command((len(names), *names, *arguments), decode, script="putback")


def adopt(keys: Keys, known: str, identity: str) -> Command[bool]:
    """Give the namespace an identity, if it has the known one; say whether it has it now."""
    return Command(
        (1, keys.meta, known, identity),
        lambda reply: bool(reply is not None and reply.decode() == identity),
        script="adopt",
    )


def _fields(entry: Entry) -> list[Any]:
    event = entry.recorded(_DECODER)
    timers = _timers(event)
    watches = watch_changes(event.run_id, [cast("NewEvent", event)])
    fields: list[Any] = [
        entry.position.entry_id,
        entry.run_id,
        entry.version,
        entry.encoded,
        entry.checksum,
        entry.append_id,
        "0" if entry.workflow_id is None else "1",
        event.workflow_id or "",
        "closed" if event.type in ENDS else "deleted" if event.type == DELETED else "",
        len(timers) + len(watches),
    ]
    for change in timers:
        fields += (change.operation, change.timer.member, change.value_ms)
    for watch in watches:
        fields += (watch.operation, watch.holder, "\n".join(watch.members))
    return fields


def _timers(event: RecordedEvent) -> list[TimerChange]:
    """Give the timers that an event sets and clears.

    Whether a restored run was handed over is not in its events: it is handed over once more.
    """
    # A recorded event has the fields that timers are made from, and always a time of its own.
    changes = changes_of(event.run_id, [cast("NewEvent", event)])
    if event.type == "run.restored":
        handover = Timer(HANDOVER, event.run_id, event.data["pause_id"])
        changes.append(TimerChange(AT, handover, event.position.ms))
    return changes
