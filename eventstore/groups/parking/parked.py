"""What one group has parked, for asyncio and for threads."""

from __future__ import annotations

from eventstore.groups.parking import plans
from eventstore.groups.parking.parked_filter import ParkedFilter
from eventstore.groups.parking.parked_run import ParkedDetails, ParkedPage
from eventstore.store import EventStore
from eventstore.sync_store import SyncEventStore


class Parked:
    """The runs that a group of an ``EventStore`` has parked: seen, redriven or discarded.

    It works while no member of the group runs, and changes nothing for any other group. Each
    method raises ``UnknownGroup``, and ``InvalidArgument`` for what it cannot take.
    """

    def __init__(self, store: EventStore, group: str) -> None:
        self._store = store
        self._group = group

    async def list(
        self,
        chosen: ParkedFilter = plans.ALL,
        *,
        order: str = "-parked",
        limit: int = 50,
        cursor: str | None = None,
    ) -> ParkedPage:
        """List parked runs a page at a time, by when they were parked, without tracebacks.

        - ``order``: ``-parked`` for the latest first, ``parked`` for the earliest.
        - ``limit``: 1 to 1,000 runs.
        - ``cursor``: ``next_cursor`` of the page before.
        """
        operations = self._store.operations
        return await self._store.perform(
            plans.list_parked(operations, self._group, chosen, order, limit, cursor)
        )

    async def count(self, chosen: ParkedFilter = plans.ALL) -> int:
        """Count parked runs, those that are being redriven included."""
        operations = self._store.operations
        return await self._store.perform(plans.count_parked(operations, self._group, chosen))

    async def show(self, run_id: str, *, max_events: int = 100) -> ParkedDetails | None:
        """Give a parked run with its traceback and its first events that are set aside.

        None: the run is not parked. Raises ``InvalidRunId``.
        """
        operations = self._store.operations
        return await self._store.perform(plans.show(operations, self._group, run_id, max_events))

    async def redrive(self, which: str | ParkedFilter, *, dry_run: bool = False) -> int:
        """Ask for parked runs to be handled after all: one by its id, or those of a filter.

        The group's members do it, in version order, now or when they run again; a run that fails
        again is parked again. Runs that are being redriven already are left. Gives how many runs
        were asked for; with ``dry_run``, how many would be. Cut short, call it again: it goes on.
        """
        operations = self._store.operations
        return await self._store.perform(
            plans.redrive(operations, self._group, which, dry_run=dry_run)
        )

    async def discard(self, which: str | ParkedFilter, *, dry_run: bool = False) -> int:
        """Forget parked runs: this group never handles what was set aside of them.

        Later events of theirs are handled as usual; the events themselves stay in the store.
        Otherwise like ``redrive``, but runs that are being redriven are discarded too.
        """
        operations = self._store.operations
        return await self._store.perform(
            plans.discard(operations, self._group, which, dry_run=dry_run)
        )


class SyncParked:
    """The runs that a group of a ``SyncEventStore`` has parked; the twin of ``Parked``."""

    def __init__(self, store: SyncEventStore, group: str) -> None:
        self._store = store
        self._group = group

    def list(
        self,
        chosen: ParkedFilter = plans.ALL,
        *,
        order: str = "-parked",
        limit: int = 50,
        cursor: str | None = None,
    ) -> ParkedPage:
        """List parked runs a page at a time; see ``Parked.list``."""
        operations = self._store.operations
        return self._store.perform(
            plans.list_parked(operations, self._group, chosen, order, limit, cursor)
        )

    def count(self, chosen: ParkedFilter = plans.ALL) -> int:
        """Count parked runs; see ``Parked.count``."""
        operations = self._store.operations
        return self._store.perform(plans.count_parked(operations, self._group, chosen))

    def show(self, run_id: str, *, max_events: int = 100) -> ParkedDetails | None:
        """Give a parked run, or None; see ``Parked.show``."""
        operations = self._store.operations
        return self._store.perform(plans.show(operations, self._group, run_id, max_events))

    def redrive(self, which: str | ParkedFilter, *, dry_run: bool = False) -> int:
        """Ask for parked runs to be handled after all; see ``Parked.redrive``."""
        operations = self._store.operations
        return self._store.perform(plans.redrive(operations, self._group, which, dry_run=dry_run))

    def discard(self, which: str | ParkedFilter, *, dry_run: bool = False) -> int:
        """Forget parked runs; see ``Parked.discard``."""
        operations = self._store.operations
        return self._store.perform(plans.discard(operations, self._group, which, dry_run=dry_run))
