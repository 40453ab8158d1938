"""Appends that wait together travel together: the queue both stores send from.

Nothing here does I/O. A store takes what waits, sends one script call for each partition, and
hands the replies back; whatever may be tried again is given back to it. While a batch is under
way the next one gathers, so no timer is needed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ResponseError

from eventstore.appends import PreparedAppend
from eventstore.clock import Monotonic
from eventstore.commands import AppendOutcome, Command, append_batch
from eventstore.errors import OutcomeUnknown, RunStoreError, ServerRefused
from eventstore.keys import Keys
from eventstore.settings import Settings
from eventstore.transport.durability import Durability
from eventstore.transport.failures import ConnectionLost, is_not_now, refusal_of, unavailable


@dataclass(slots=True, eq=False)
class Ticket:
    """One append on its way. ``settle`` is called once, with its outcome."""

    append: PreparedAppend
    partition: int
    deadline_s: float
    settle: Callable[[AppendOutcome], None]
    may_be_written: bool = field(init=False)

    def __post_init__(self) -> None:
        self.may_be_written = self.append.may_be_written


@dataclass(frozen=True, slots=True)
class Call:
    """One script call and the tickets that travel in it."""

    command: Command[list[AppendOutcome]]
    tickets: Sequence[Ticket]


class AppendQueue:
    """The appends of one store that wait, and the rules for sending them."""

    def __init__(
        self, keys: Keys, settings: Settings, durability: Durability, shown: str, now: Monotonic
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._durability = durability
        self._shown = shown
        self._now = now
        self._waiting: deque[Ticket] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, append: PreparedAppend, settle: Callable[[AppendOutcome], None]) -> None:
        """Let an append wait for the next batch; its time to be settled starts now."""
        deadline_s = self._now() + self._settings.append_timeout_ms / 1000
        partition = self._keys.partition_of(append.run_id)
        self._waiting.append(Ticket(append, partition, deadline_s, settle))

    def take(self, again: Iterable[Ticket] = ()) -> list[Ticket]:
        """Take the next batch: first what is tried again, then what waits, up to the bounds."""
        batch = list(again)
        events = dict.fromkeys(range(self._keys.partitions), 0)
        size_bytes = dict(events)
        for ticket in batch:
            events[ticket.partition] += ticket.append.event_count
            size_bytes[ticket.partition] += ticket.append.size_bytes
        while self._waiting:
            append, partition = self._waiting[0].append, self._waiting[0].partition
            full = events[partition] + append.event_count > self._settings.max_script_events
            full |= size_bytes[partition] + append.size_bytes > self._settings.max_script_bytes
            if full and events[partition]:
                break
            events[partition] += append.event_count
            size_bytes[partition] += append.size_bytes
            batch.append(self._waiting.popleft())
        return batch

    def calls(self, batch: Sequence[Ticket]) -> list[Call]:
        """Lay a batch out as one script call for each partition."""
        by_partition: dict[int, list[Ticket]] = {}
        for ticket in batch:
            by_partition.setdefault(ticket.partition, []).append(ticket)
        return [Call(self._command(p, tickets), tickets) for p, tickets in by_partition.items()]

    def _command(self, partition: int, tickets: list[Ticket]) -> Command[list[AppendOutcome]]:
        return append_batch(self._keys, partition, [(t.append, t.may_be_written) for t in tickets])

    @property
    def confirmation(self) -> Command[Any] | None:
        """What goes out behind the calls so that replicas or the disk confirm them."""
        return self._durability.command

    def answered(self, calls: Sequence[Call], replies: Sequence[Any]) -> list[Ticket]:
        """Settle what the replies settle; give back what may be tried again."""
        confirmed = replies[len(calls)] if len(replies) > len(calls) else None
        again: list[Ticket] = []
        for call, reply in zip(calls, replies, strict=False):
            if is_not_now(reply):
                again += self._expire(call.tickets, reply)
            elif isinstance(reply, Exception):
                self._settle_all(call.tickets, refusal_of(reply))
            else:
                outcomes = call.command.decode(reply)
                again += self._settle_each(call.tickets, outcomes, confirmed)
        return again

    def _settle_each(
        self, tickets: Sequence[Ticket], outcomes: Sequence[AppendOutcome], confirmed: Any
    ) -> list[Ticket]:
        again: list[Ticket] = []
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            if not isinstance(outcome, ServerRefused):
                ticket.settle(self._durability.judge(outcome, confirmed))
            elif is_not_now(refusal := ResponseError(outcome.reply)):
                again += self._expire([ticket], refusal)
            else:
                ticket.settle(refusal_of(refusal))
        return again

    def lost(self, batch: Sequence[Ticket], loss: ConnectionLost) -> list[Ticket]:
        """Take note that the line broke; give back what may be tried again."""
        for ticket in batch:
            ticket.may_be_written |= loss.sent
        return self._expire(batch, loss.cause)

    def failed(self, batch: Sequence[Ticket], error: Exception) -> None:
        """Settle a batch that ran into an error which nobody foresaw: its fate is not known."""
        for ticket in batch:
            ticket.may_be_written = True
        self._settle_all(batch, RunStoreError(f"unforeseen {type(error).__name__}: {error}"))

    def interrupted(self, batch: Sequence[Ticket]) -> None:
        """Put a batch back in front after its sender was stopped in the middle."""
        for ticket in batch:
            ticket.may_be_written = True
        self._waiting.extendleft(reversed(batch))

    def refused(self, batch: Sequence[Ticket], error: RunStoreError) -> None:
        """Settle a whole batch, and all that waits, with one final error."""
        self._settle_all(batch, error)
        self._settle_all(self._waiting, error)
        self._waiting.clear()

    def _expire(self, tickets: Iterable[Ticket], cause: Exception) -> list[Ticket]:
        """Settle the tickets whose time is over; give back the others."""
        now = self._now()
        again: list[Ticket] = []
        for ticket in tickets:
            if now < ticket.deadline_s:
                again.append(ticket)
            else:
                ticket.settle(self._too_late(ticket, cause))
        return again

    def _too_late(self, ticket: Ticket, cause: Exception) -> RunStoreError:
        timeout_ms = self._settings.append_timeout_ms
        if ticket.may_be_written:
            return OutcomeUnknown(ticket.append.run_id, ticket.append.append_id, timeout_ms)
        return unavailable(self._shown, cause, timeout_ms)

    def _settle_all(self, tickets: Iterable[Ticket], error: RunStoreError) -> None:
        for ticket in tickets:
            if ticket.may_be_written and not ticket.append.may_be_written:
                timeout_ms = self._settings.append_timeout_ms
                unknown = OutcomeUnknown(ticket.append.run_id, ticket.append.append_id, timeout_ms)
                unknown.__cause__ = error
                ticket.settle(unknown)
            else:
                ticket.settle(copy.copy(error))  # each caller raises an error of its own
