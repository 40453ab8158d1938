"""The service that lets pause windows end: any number of them, each window once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from eventstore import EventStore, SyncEventStore
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.timers import DueTimer
from replay.context import RunContext
from replay.definitions import Definitions
from replay.expiry import Effect, take_effect
from replay.restore_counts import RestoreCounts
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

logger = logging.getLogger("runstore.restorer")


class Restorer(Sweeper[RestoreCounts]):
    """Lets windows end and hands restored runs to ``on_restored``, sync or async.

    However many restorers run, each window takes its effect once, and each restored run is
    handed over once. Only when a restorer dies between recording the restore and noting the
    callback's return (after 32 of them, or a twentieth of a second), or the callback raises or
    takes longer than ``handover_ms``, is the run handed over again, ``handover_ms`` later and
    then every ``lease_ms``, unless a worker has appended to it since (where other branches of the
    run are at work, too: at the pause's ``node_id`` or ``resume_at``). So let the
    callback pass the run on and return; a worker that appends with ``expected=context.version``
    is alone even then.

    ``concurrency`` runs are handed over at the same time, and as many are read and recorded
    together: more of them, up to 128, while that and handing them over takes no second. What goes
    wrong with one run is logged and counted, and keeps no other run waiting: so does a
    workflow that changed, where ``definitions`` know no way from the one to the other.
    """

    def __init__(
        self,
        store: EventStore,
        on_restored: Callable[[RunContext], Awaitable[None] | None],
        *,
        definitions: Definitions | None = None,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        check("on_restored", on_restored, lease_ms, handover_ms, idle_ms, concurrency)
        job = _job(definitions, lease_ms, handover_ms, idle_ms, concurrency)
        super().__init__(store, on_restored, job)


class SyncRestorer(SyncSweeper[RestoreCounts]):
    """The blocking twin of ``Restorer``: hands over one run after another."""

    def __init__(
        self,
        store: SyncEventStore,
        on_restored: Callable[[RunContext], None],
        *,
        definitions: Definitions | None = None,
        lease_ms: int = DEFAULT_LEASE_MS,
        handover_ms: int = DEFAULT_HANDOVER_MS,
        idle_ms: int = DEFAULT_IDLE_MS,
    ) -> None:
        check("on_restored", on_restored, lease_ms, handover_ms, idle_ms, blocking=True)
        job = _job(definitions, lease_ms, handover_ms, idle_ms, DEFAULT_CONCURRENCY)
        super().__init__(store, on_restored, job)


def _job(
    definitions: Definitions | None, lease_ms: int, handover_ms: int, idle_ms: int, concurrency: int
) -> Job[RestoreCounts]:
    return Job(
        partial(_effect, handover_ms, definitions),
        RestoreCounts,
        logger,
        stalls=False,
        lease_ms=lease_ms,
        handover_ms=handover_ms,
        idle_ms=idle_ms,
        concurrency=concurrency,
    )


def _effect(
    handover_ms: int,
    definitions: Definitions | None,
    operations: Operations,
    due: DueTimer,
    now_ms: int,
) -> Plan[Effect]:
    return take_effect(operations, due, now_ms, handover_ms, definitions)
