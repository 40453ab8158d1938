"""Appends that wait together travel together: the queue both stores send from.

Nothing here does I/O. A store takes what waits, sends one script call for each partition, and
hands the replies back; whatever may be tried again waits again. While a call is under way the
next one gathers, so no timer is needed.
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

    Those of one partition go out in the order in which they came, and those of one run never in
    two calls at the same time, so that appends to a run keep their order.
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
        self._under_way: tuple[set[str], ...] = tuple(set() for _ in range(keys.partitions))
        """The runs of each partition that have appends in a call."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    @property
    def partitions(self) -> list[int]:
        """The partitions for which appends wait."""
        return [partition for partition, waiting in enumerate(self._waiting) if waiting]

    @property
    def events_a_turn(self) -> int:
        """How many events go out together at the most, when appends of all partitions wait."""
        return self._keys.partitions * self._settings.max_script_events

    @property
    def is_done(self) -> bool:
        """Whether every append is settled."""
        return not any(self._waiting) and not any(self._under_way)

    def waiting_in(self, partition: int) -> int:
        """Count the appends that wait for a partition."""
        return len(self._waiting[partition])

    def is_under_way(self, partition: int) -> bool:
        """Say whether a call of a partition was taken and has not come back."""
        return bool(self._under_way[partition])

    def add(self, append: PreparedAppend, waiter: Waiter) -> int:
        """Let an append wait for the next call; its time to be settled starts now.

        Gives its partition.
        """
        deadline_s = self._now() + self._timeout_s
        partition = self._keys.partition_of(append.run_id)
        ticket = Ticket(append, partition, deadline_s, waiter, append.may_be_written)
        self._waiting[partition].append(ticket)
        return partition

    def withdraw(self, append: PreparedAppend) -> None:
        """Forget an append for which nobody waits any more, unless it is under way."""
        waiting = self._waiting[self._keys.partition_of(append.run_id)]
        for ticket in [ticket for ticket in waiting if ticket.append is append]:
            waiting.remove(ticket)

    def take(self, partitions: Iterable[int]) -> list[Call]:
        """Take the next call of each partition; each must come back, by a method below."""
        taken = ((partition, self._taken(partition)) for partition in partitions)
        return [self._call(partition, tickets) for partition, tickets in taken if tickets]

    def _taken(self, partition: int) -> list[Ticket]:
        """Take what waits, up to the bounds, or up to a run that has appends under way."""
        waiting, under_way = self._waiting[partition], self._under_way[partition]
        taken: list[Ticket] = []
        events = size_bytes = 0
        while waiting and waiting[0].append.run_id not in under_way:
            events += waiting[0].append.event_count
            size_bytes += waiting[0].append.size_bytes
            full = events > self._settings.max_script_events
            if taken and (full or size_bytes > self._settings.max_script_bytes):
                break
            taken.append(waiting.popleft())
        under_way.update([ticket.append.run_id for ticket in taken])
        return taken

    def _call(self, partition: int, tickets: list[Ticket]) -> Call:
        appends = [(ticket.append, ticket.may_be_written) for ticket in tickets]
        return Call(append_batch(self._keys, partition, appends), tickets, partition)

    @property
    def confirmation(self) -> Command[Any] | None:
        """What goes out behind the calls so that replicas or the disk confirm them."""
        return self._durability.command

    def answered(self, calls: Sequence[Call], replies: Sequence[Any]) -> bool:
        """Settle what the replies settle. Gives whether some of it is to be tried again."""
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
        self._came_back(calls)
        return self._put_back(again)

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

    def lost(self, calls: Sequence[Call], loss: ConnectionLost) -> bool:
        """Take note that the line broke. Gives whether something is to be tried again."""
        tickets = self._came_back(calls)
        for ticket in tickets:
            ticket.may_be_written |= loss.sent
        return self._put_back(self._expire(tickets, loss.cause))

    def failed(self, calls: Sequence[Call], error: Exception) -> None:
        """Settle calls that ran into an error which nobody foresaw: their fate is not known."""
        tickets = self._came_back(calls)
        for ticket in tickets:
            ticket.may_be_written = True
        self._settle_all(tickets, RunStoreError(f"unforeseen {type(error).__name__}: {error}"))

    def interrupted(self, calls: Sequence[Call]) -> None:
        """Let calls wait again after their sender was stopped in the middle."""
        tickets = self._came_back(calls)
        for ticket in tickets:
            ticket.may_be_written = True
        self._put_back(tickets)

    def refused(self, calls: Sequence[Call], error: RunStoreError) -> None:
        """Settle calls, and all that waits, with one final error."""
        self._settle_all(self._came_back(calls), error)
        for waiting in self._waiting:
            self._settle_all(waiting, error)
            waiting.clear()

    def _came_back(self, calls: Sequence[Call]) -> list[Ticket]:
        """Let the next appends to these runs go out."""
        tickets = [ticket for call in calls for ticket in call.tickets]
        for ticket in tickets:
            self._under_way[ticket.partition].discard(ticket.append.run_id)
        return tickets

    def _put_back(self, tickets: Sequence[Ticket]) -> bool:
        """Let appends that somebody waits for wait again, before all others of their partition."""
        wanted = [ticket for ticket in tickets if not ticket.waiter.done()]
        for ticket in reversed(wanted):
            self._waiting[ticket.partition].appendleft(ticket)
        return bool(wanted)

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
