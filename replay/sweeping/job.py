"""What a service sweeps, as plans, and on what terms."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, Self, TypeVar

from eventstore import InvalidArgument, StoreUnavailable
from eventstore.abreast import abreast
from eventstore.clock import monotonic, to_ms
from eventstore.commands import server_time
from eventstore.due_index import settle_timers
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import DueTimer
from replay.expiry import Effect, Handover

DEFAULT_LEASE_MS = 30_000
DEFAULT_HANDOVER_MS = 60_000
DEFAULT_IDLE_MS = 200
DEFAULT_BATCH_RUNS = 100
DEFAULT_CONCURRENCY = 32
CHECK_EVERY_S = 1.0

COMES_AGAIN = "the %s timer of run %r could not be dealt with, it comes again"
RAISED = "the worker of run %r raised"


class Counts(Protocol):
    """Counts what became of timers."""

    scanned: int

    def count(self, effect: Effect) -> None:
        """Count what a timer led to."""

    def error(self) -> None:
        """Count a timer that could not be dealt with."""

    def handed(self, *, is_taken: bool) -> None:
        """Count whether a worker took a run."""

    def add(self, other: Self) -> None:
        """Add the counts of another round."""


C = TypeVar("C", bound=Counts)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a timer could not be dealt with."""

    error: Exception


class Vigilance:
    """Bounds how often an idle service looks whether its server lost anything."""

    def __init__(self, every_s: float = CHECK_EVERY_S) -> None:
        self._every_s = every_s
        self._next_s = monotonic()

    def is_due(self) -> bool:
        """Say whether to look now; then not again for a while."""
        is_due = monotonic() >= self._next_s
        if is_due:
            self._next_s = monotonic() + self._every_s
        return is_due


@dataclass(frozen=True, slots=True)
class Job(Generic[C]):
    """What a service sweeps, as plans, and on what terms."""

    effect: Callable[[Operations, DueTimer, int], Plan[Effect]]
    """What a timer leads to, as of a time in ms since 1970."""
    counts: type[C]
    logger: logging.Logger
    stalls: bool
    lease_ms: int
    handover_ms: int
    idle_ms: int
    concurrency: int
    """So many runs are handed on at the same time."""
    vigilance: Vigilance = field(default_factory=Vigilance)

    def take(
        self, operations: Operations, now: datetime | None, limit: int
    ) -> Plan[tuple[list[DueTimer], int]]:
        """Take due timers, and tell as of which time.

        Where none is due, it makes sure that this is no server that lost them: the store must be
        there, with all that is archived. Raises ``LogRegressed``.
        """
        now_ms = None if now is None else to_ms(now)
        due = yield from operations.due(now_ms, limit, self.lease_ms, stalls=self.stalls)
        if not due and self.vigilance.is_due():
            yield from operations.log.check_kept()
        as_of_ms = now_ms
        if as_of_ms is None:
            (as_of_ms,) = yield [server_time()]
        return due, as_of_ms

    def effects(
        self,
        operations: Operations,
        due: Sequence[DueTimer],
        now_ms: int,
        taken: Sequence[DueTimer],
    ) -> Plan[list[Any]]:
        """Deal with timers side by side; give the effect of each, or a ``Failure``.

        The timers of runs that were ``taken`` before are taken off their index on the way.
        """
        plans: list[Plan[Any]] = [_guarded(self.effect(operations, timer, now_ms)) for timer in due]
        tidying = [settled(operations, taken)] if taken else []
        effects = yield from abreast([*plans, *tidying])
        for error in effects[len(plans) :]:
            if isinstance(error, Exception):
                raise error
        return effects[: len(plans)]

    def counted(
        self, counts: C, due: Sequence[DueTimer], effects: Sequence[Any], begun_s: float
    ) -> Iterator[tuple[Handover, float]]:
        """Count effects; give the runs that are to be handed on, and until when by the clock."""
        for timer, effect in zip(due, effects, strict=True):
            if isinstance(effect, Exception):
                effect = Failure(effect)  # noqa: PLW2901 - abreast gives the store's errors so
            if isinstance(effect, Failure):
                run_id, kind = timer.timer.run_id, timer.timer.kind
                self.logger.error(COMES_AGAIN, kind, run_id, exc_info=effect.error)
                counts.error()
                continue
            if not isinstance(effect, Handover):
                counts.count(effect)
                continue
            is_fresh = effect.due is not timer
            yield effect, begun_s + (self.handover_ms if is_fresh else self.lease_ms) / 1000

    def raised(self, counts: C, handover: Handover, error: Exception) -> None:
        """Count and log a worker that could not be reached."""
        self.logger.error(RAISED, handover.context.run_id, exc_info=error)
        counts.handed(is_taken=False)

    def tell(self, counts: C) -> None:
        """Log what a round did."""
        if counts.scanned:
            self.logger.info("%s", counts)


def _guarded(plan: Plan[Effect]) -> Plan[Effect | Failure]:
    """Let what goes wrong with one run keep no other waiting."""
    try:
        return (yield from plan)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - logged with its run
        return Failure(error)


def settled(operations: Operations, due: Sequence[DueTimer]) -> Plan[None]:
    """Take the timers of runs that workers took off their index."""
    yield settle_timers(operations.keys, due, is_taken=True)


def check(name: str, callback: object, *bounds: int, blocking: bool = False) -> None:
    """Check what a service is made with. Raises ``InvalidArgument``."""
    if not callable(callback):
        raise InvalidArgument(f"{name} must be callable, not {callback!r}")
    if blocking and inspect.iscoroutinefunction(callback):
        raise InvalidArgument(f"{name} is async: use the asyncio form, nobody would await it here")
    for bound in bounds:
        if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
            raise InvalidArgument(f"bounds are whole numbers above 0, not {bound!r}")
