"""Who and what acts on the runs from outside: customers, the approver, and accidents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

from eventstore import NO_RUN, NewEvent, RunClosed, SyncEventStore, WrongExpectedVersion
from eventstore.clock import Clock, Monotonic, monotonic, system_clock
from replay.demo.crew import Crew
from replay.demo.orders import WORKFLOW, Order
from replay.demo.view import DEMO, Seen, View
from replay.sync_control import SyncRunControl

APPROVER = "dana"
ORDER_EVERY_S = 0.13
THINKS_S = 0.5
LATE_S = 0.6


class Actor(Protocol):
    """Looks at the runs again and again, and does what it does."""

    def act(self, view: View) -> Iterator[str]:
        """Do what is due now, and tell of it."""


class Customers:
    """Place the orders, one after another; ``placed`` holds them by their run's id."""

    def __init__(
        self, store: SyncEventStore, orders: list[Order], pace: float, clock: Monotonic = monotonic
    ) -> None:
        self.placed: dict[str, Order] = {}
        self._store = store
        self._waiting = list(reversed(orders))
        self._every_s = ORDER_EVERY_S * pace
        self._clock = clock
        self._next_at_s = clock()
        self._number = 0

    @property
    def done(self) -> bool:
        """Whether all orders are placed."""
        return not self._waiting

    def act(self, view: View) -> Iterator[str]:
        """Place the orders that are due."""
        while self._waiting and self._clock() >= self._next_at_s:
            order = self._waiting.pop()
            run_id = self._place(order, view.demo)
            self.placed[run_id] = order
            self._next_at_s += self._every_s
            if self.done:
                yield f"{len(self.placed)} orders are in"

    def _place(self, order: Order, demo: str) -> str:
        """Take the next number that no run has: ``NO_RUN`` makes sure."""
        created = NewEvent(
            "run.created", {"input": order.input, "labels": {DEMO: demo}}, workflow_id=WORKFLOW
        )
        while True:
            self._number += 1
            run_id = f"order-{self._number}"
            try:
                self._store.append(run_id, created, expected=NO_RUN)
            except (WrongExpectedVersion, RunClosed):
                continue
            return run_id


class Approver:
    """Answers some pauses in time, some too late, some never: as the orders' stories say."""

    def __init__(
        self, store: SyncEventStore, customers: Customers, pace: float, clock: Clock = system_clock
    ) -> None:
        self._control = SyncRunControl(store)
        self._customers = customers
        self._thinks = timedelta(seconds=THINKS_S * pace)
        self._late = timedelta(seconds=LATE_S * pace)
        self._clock = clock
        self._answered: set[str] = set()

    def act(self, view: View) -> Iterator[str]:
        """Answer what is to be answered now."""
        for run_id, seen in view.seen.items():
            answer = self._customers.placed[run_id].story.answer
            if (
                answer
                and run_id not in self._answered
                and self._is_time(seen, late=answer == "late")
            ):
                self._answered.add(run_id)
                yield self._resume(run_id, answer)

    def _is_time(self, seen: Seen, *, late: bool) -> bool:
        pause = seen.open_pause
        if pause is None or (late and pause.status != "expired"):
            return False
        return self._clock() >= seen.last.occurred_at + (self._late if late else self._thinks)

    def _resume(self, run_id: str, answer: str) -> str:
        context = self._control.resume(
            run_id,
            {"approved": answer != "decline"},
            cause="manual" if answer == "late" else "decision",
            actor=APPROVER,
        )
        if not context.restored:
            return f"{run_id}: {APPROVER} says {'yes' if answer == 'approve' else 'no'}"
        kept = ", ".join(f"{name}={value}" for name, value in context.state.items())
        return f"{run_id}: {APPROVER} comes late, its context is back: {kept}"


class Accidents:
    """Kill a worker in the middle of its work, and one of the restorers, with SIGKILL.

    Both can die at any moment: the group hands a dead worker's runs to another, and what a dead
    restorer had taken is due again for the other one.
    """

    def __init__(self, crew: Crew, restorer: str) -> None:
        self._crew = crew
        self._restorer = restorer
        self._worker: str | None = None

    def act(self, view: View) -> Iterator[str]:
        """Strike when it hurts."""
        charging = next(filter(_is_charging, view.seen.values()), None)
        if self._worker is None and charging and charging.last.actor:
            self._worker = charging.last.actor
            self._crew.kill(self._worker)
            yield f"{self._worker} KILLED while it charged the card of {charging.run.run_id}"
        ending = any(seen.has("run.window_expired") for seen in view.seen.values())
        if ending and self._crew.runs(self._restorer):
            self._crew.kill(self._restorer)
            yield f"{self._restorer} KILLED while windows end"


def _is_charging(seen: Seen) -> bool:
    return (seen.last.type, seen.last.node_id) == ("call.started", "charge")
