"""The service that finds runs whose worker fell silent: any number of them, each stall once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from eventstore import EventStore, SyncEventStore
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import DueTimer
from replay.context import RunContext
from replay.expiry import Effect
from replay.recovering import recover
from replay.recovery_counts import RecoveryCounts
from replay.sweeping import (
    DEFAULT_CONCURRENCY,
    DEFAULT_HANDOVER_MS,
    DEFAULT_IDLE_MS,
    DEFAULT_LEASE_MS,
    Job,
    Sweeper,
    SyncSweeper,
    check,
)

logger = logging.getLogger("runstore.reconciler")


class Reconciler(Sweeper[RecoveryCounts]):
    """Takes runs from workers that fell silent and hands them to ``on_recovered``.

    A run created (or started) with ``options.stall_after_ms`` must show signs of life: each of
    its events is one, and ``RunControl.heartbeat``. Where none came for so long and the run is
    not paused, ``run.recovered`` is recorded, so that the silent worker's next append with an
    expected version is refused, and the run is handed on: once, however many reconcilers run.
    Killed between the two, or where the callback raises, it is handed on again after
    ``handover_ms``, unless a worker has appended since. From the callback's return on, the new
    worker's signs of life count.

    It reads an index of deadlines and never searches runs.
    """

    def __init__(
        self,
        store: EventStore,
        on_recovered: Callable[[RunContext], Awaitable[None] | None],
        *,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        check("on_recovered", on_recovered, lease_ms, handover_ms, idle_ms, concurrency)
        super().__init__(store, on_recovered, _job(lease_ms, handover_ms, idle_ms, concurrency))


class SyncReconciler(SyncSweeper[RecoveryCounts]):
    """The blocking twin of ``Reconciler``: hands on one run after another."""

    def __init__(
        self,
        store: SyncEventStore,
        on_recovered: Callable[[RunContext], None],
        *,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
    ) -> None:
        check("on_recovered", on_recovered, lease_ms, handover_ms, idle_ms, blocking=True)
        job = _job(lease_ms, handover_ms, idle_ms, DEFAULT_CONCURRENCY)
        super().__init__(store, on_recovered, job)


def _job(lease_ms: int, handover_ms: int, idle_ms: int, concurrency: int) -> Job[RecoveryCounts]:
    return Job(
        partial(_effect, handover_ms),
        RecoveryCounts,
        logger,
        stalls=True,
        lease_ms=lease_ms,
        handover_ms=handover_ms,
        idle_ms=idle_ms,
        concurrency=concurrency,
    )


def _effect(handover_ms: int, operations: Operations, due: DueTimer, _now_ms: int) -> Plan[Effect]:
    return recover(operations, due, handover_ms)
