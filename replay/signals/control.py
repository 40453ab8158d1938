"""The part of ``RunControl`` that is about signals, in both forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstore import EventStore, SyncEventStore
from eventstore.plan import Plan
from replay.signals import watching
from replay.signals.delivering import deliver
from replay.signals.delivery import SignalDelivery
from replay.signals.receiving import Rules, WhenFull
from replay.signals.signal import Signal
from replay.signals.watching import Watching

DEFAULT_HANDOVER_MS = 60_000

Conditions = Sequence[Mapping[str, Any]]
"""Each has a dotted ``field``, an ``op`` of ``== != > >= < <= exists``, and a ``value``."""


class SignalControl:
    """Watches of runs, and signals to them."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def watch(
        self, run_id: str, type: str, conditions: Conditions = (), *, watch_id: str | None = None  # noqa: A002 - as in events
    ) -> Watching:  # fmt: skip
        """Let a run take signals of a type from now on, whether it is paused or not.

        All conditions must hold for a signal's payload; a field that is missing fails all but
        ``exists``; relational operators compare numbers only. The first ``==`` is what the run
        is found by, so begin with the one that fewest share. A ``watch_id`` that is known is
        replaced. The watch ends with ``unwatch``, or the run.

        Raises ``InvalidEvent`` for an unknown operator or a field that is no path, ``RunClosed``,
        ``RunNotFound``, and as ``append`` does.
        """
        plan = watching.watch(self._store.operations, run_id, type, conditions, watch_id)
        return await self._store.perform(plan)

    async def unwatch(self, run_id: str, watch_id: str) -> bool:
        """Let a run take no more signals by a watch; False if it has no such watch."""
        return await self._store.perform(watching.unwatch(self._store.operations, run_id, watch_id))

    async def deliver(
        self,
        type: str,  # noqa: A002 - as in events
        payload: Any = None,
        *,
        run_id: str | None = None,
        source_id: str | None = None,
        patch: bool = False,
        when_full: WhenFull = "refuse",
        handover_ms: int = DEFAULT_HANDOVER_MS,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> SignalDelivery:
        """Deliver a signal to the named run, or to each run that watches for it.

        It ends a pause that waits for it, in the same append; else the run keeps it for a pause
        to come, in order of arrival. A run that is named gets it whether it watches or not.

        - ``source_id``: what the sender calls it. Delivered again, also after a crash half-way,
          each run has it once; that it reached all who watched is known for
          ``signal_receipt_ms``.
        - ``patch``: the payload, an object, goes into the run's state.
        - ``when_full``: what becomes of a signal that is one too many for a run's buffer:
          ``refuse`` raises ``SignalBufferFull``; ``oldest`` drops the oldest kept, ``newest``
          this one, and records it.
        - ``handover_ms``: how long the holder of a resumed run's live context has to go on,
          before a restorer hands the run to a worker; after the window that is done at once.
        - ``dry_run``: say what would happen, and let nothing happen.

        Raises ``RunNotFound``, ``RunClosed``, ``SignalBufferFull`` and ``IdempotencyConflict``
        for a run that is named (those of runs that watch are in ``refused``),
        ``InvalidArgument``, and as ``append`` does. Without a ``source_id`` an error may leave
        some of the watchers with the signal and others without it.
        """
        rules = (patch, when_full, handover_ms, dry_run)
        return await self._store.perform(
            _delivery(self._store, Signal.of(type, payload, source_id, actor), run_id, rules)
        )


class SyncSignalControl:
    """Watches of runs, and signals to them; the blocking twin of ``SignalControl``."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store

    def watch(
        self, run_id: str, type: str, conditions: Conditions = (), *, watch_id: str | None = None  # noqa: A002 - as in events
    ) -> Watching:  # fmt: skip
        """Let a run take signals of a type from now on; see ``RunControl.watch``."""
        plan = watching.watch(self._store.operations, run_id, type, conditions, watch_id)
        return self._store.perform(plan)

    def unwatch(self, run_id: str, watch_id: str) -> bool:
        """Let a run take no more signals by a watch; False if it has no such watch."""
        return self._store.perform(watching.unwatch(self._store.operations, run_id, watch_id))

    def deliver(
        self,
        type: str,  # noqa: A002 - as in events
        payload: Any = None,
        *,
        run_id: str | None = None,
        source_id: str | None = None,
        patch: bool = False,
        when_full: WhenFull = "refuse",
        handover_ms: int = DEFAULT_HANDOVER_MS,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> SignalDelivery:
        """Deliver a signal to a run, or to all that watch for it; see ``RunControl.deliver``."""
        rules = (patch, when_full, handover_ms, dry_run)
        return self._store.perform(
            _delivery(self._store, Signal.of(type, payload, source_id, actor), run_id, rules)
        )


def _delivery(
    store: EventStore | SyncEventStore,
    signal: Signal,
    run_id: str | None,
    rules: tuple[bool, WhenFull, int, bool],
) -> Plan[SignalDelivery]:
    patch, when_full, handover_ms, dry_run = rules
    operations = store.operations
    most = operations.settings.max_buffered_signals
    return deliver(operations, signal, run_id, Rules(patch, when_full, most, handover_ms, dry_run))
