"""Appends that wait together travel together: the queue both stores send from.

Nothing here does I/O. A store takes what waits, sends one script call for each partition, and
hands the replies back; whatever may be tried again is given back to it. While a call is under
way the next one gathers, so no timer is needed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import ResponseError

from eventstore.appends import PreparedAppend
from eventstore.clock import Monotonic
from eventstore.commands import AppendOutcome, Command, append_batch
from eventstore.errors import OutcomeUnknown, RunStoreError, ServerRefused
from eventstore.keys import Keys
from eventstore.settings import Settings
from eventstore.transport.durability import Durability
from eventstore.transport.failures import ConnectionLost, is_not_now, refusal_of, unavailable


class Waiter(Protocol):
    """Who waits for an append's outcome; ``asyncio.Future`` is one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, outcome: AppendOutcome, /) -> None:
        """Take the outcome."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One append on its way."""

    append: PreparedAppend
    partition: int
    deadline_s: float
    waiter: Waiter
    may_be_written: bool

    def settle(self, outcome: AppendOutcome) -> None:
        """Hand over the outcome, unless the one who waits has gone."""
        if not self.waiter.done():
            self.waiter.set_result(outcome)


@dataclass(frozen=True, slots=True)
class Call:
    """One script call and the tickets that travel in it, all of one partition."""

    command: Command[list[AppendOutcome]]
    tickets: Sequence[Ticket]
    partition: int


class AppendQueue:
    """The appends of one store that wait, and the rules for sending them.

    Those of one partition go out in the order in which they came, one call at a time, so that
    appends to a run keep their order.
    """

    def __init__(
        self, keys: Keys, settings: Settings, durability: Durability, shown: str, now: Monotonic
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._durability = durability
        self._shown = shown
        self._now = now
        self._timeout_s = settings.append_timeout_ms / 1000
        self._waiting: tuple[deque[Ticket], ...] = tuple(deque() for _ in range(keys.partitions))

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    @property
    def partitions(self) -> list[int]:
        """The partitions for which appends wait."""
        return [partition for partition, waiting in enumerate(self._waiting) if waiting]

    def waiting_in(self, partition: int) -> int:
        """Count the appends that wait for a partition."""
        return len(self._waiting[partition])

    def add(self, append: PreparedAppend, waiter: Waiter) -> int:
        """Let an append wait for the next batch; its time to be settled starts now.

        Gives its partition.
        """
        deadline_s = self._now() + self._timeout_s
        partition = self._keys.partition_of(append.run_id)
        ticket = Ticket(append, partition, deadline_s, waiter, append.may_be_written)
        self._waiting[partition].append(ticket)
        return partition

    def take(self, partitions: Iterable[int], again: Iterable[Ticket] = ()) -> list[Call]:
        """Take one call for each partition: first what is tried again, then what waits."""
        tickets: dict[int, list[Ticket]] = {partition: [] for partition in partitions}
        for ticket in again:
            tickets[ticket.partition].append(ticket)
        return [self._call(p, taken) for p, taken in tickets.items() if self._fill(p, taken)]

    def _fill(self, partition: int, taken: list[Ticket]) -> list[Ticket]:
        """Add what waits, up to the bounds."""
        waiting = self._waiting[partition]
        events = sum(ticket.append.event_count for ticket in taken)
        size_bytes = sum(ticket.append.size_bytes for ticket in taken)
        while waiting:
            events += waiting[0].append.event_count
            size_bytes += waiting[0].append.size_bytes
            full = events > self._settings.max_script_events
            if taken and (full or size_bytes > self._settings.max_script_bytes):
                break
            taken.append(waiting.popleft())
        return taken

    def _call(self, partition: int, tickets: list[Ticket]) -> Call:
        appends = [(ticket.append, ticket.may_be_written) for ticket in tickets]
        return Call(append_batch(self._keys, partition, appends), tickets, partition)

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

    def lost(self, calls: Iterable[Call], loss: ConnectionLost) -> list[Ticket]:
        """Take note that the line broke; give back what may be tried again."""
        tickets = _tickets_of(calls)
        for ticket in tickets:
            ticket.may_be_written |= loss.sent
        return self._expire(tickets, loss.cause)

    def failed(self, calls: Iterable[Call], error: Exception) -> None:
        """Settle calls that ran into an error which nobody foresaw: their fate is not known."""
        tickets = _tickets_of(calls)
        for ticket in tickets:
            ticket.may_be_written = True
        self._settle_all(tickets, RunStoreError(f"unforeseen {type(error).__name__}: {error}"))

    def interrupted(self, calls: Iterable[Call]) -> None:
        """Put calls back in front after their sender was stopped in the middle."""
        for call in calls:
            for ticket in call.tickets:
                ticket.may_be_written = True
            self._waiting[call.partition].extendleft(reversed(call.tickets))

    def refused(self, calls: Iterable[Call], error: RunStoreError) -> None:
        """Settle calls, and all that waits, with one final error."""
        self._settle_all(_tickets_of(calls), error)
        for waiting in self._waiting:
            self._settle_all(waiting, error)
            waiting.clear()

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


def _tickets_of(calls: Iterable[Call]) -> list[Ticket]:
    return [ticket for call in calls for ticket in call.tickets]
