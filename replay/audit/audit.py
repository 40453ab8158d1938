"""The audit in its two forms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from eventstore import EventStore, InvalidArgument, RecordedEvent, SyncEventStore
from eventstore.archive import Archive
from projections import BUILT_IN, Database, Projection
from replay.audit.checking import Checked, Checker, Decide
from replay.audit.history import Deed, history_of
from replay.audit.verifying import DEFAULT_MAX_FINDINGS, AuditReport, OnProgress, verify
from replay.exporting import export_events
from replay.transfer.target import Target

DEFAULT_MAX_DIVERGENCES = 100
T = TypeVar("T")


class SyncAudit:
    """Checks what a ``SyncEventStore`` holds, and replays it. It changes nothing."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store

    def verify(
        self,
        archive: Archive | None = None,
        database: Database | None = None,
        *,
        key: bytes | None = None,
        expect: str | None = None,
        projections: Iterable[type[Projection] | Projection] = BUILT_IN,
        max_findings: int = DEFAULT_MAX_FINDINGS,
        on_progress: OnProgress | None = None,
    ) -> AuditReport:
        """Prove that everything is as it was written; see ``replay.audit.verify``."""
        return verify(
            self._store,
            archive,
            database,
            key=key,
            expect=expect,
            projections=projections,
            max_findings=max_findings,
            on_progress=on_progress,
        )

    def history(self, run_id: str) -> list[Deed]:
        """Say who did what to a run, when, and what each came of.

        Raises ``RunNotFound``, and what reading raises.
        """
        return history_of(self._store.load(run_id))

    def check(
        self,
        decide: Decide,
        run_ids: Iterable[str] | None = None,
        *,
        decides: Collection[str] | None = None,
        workflow_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        max_divergences: int = DEFAULT_MAX_DIVERGENCES,
        on_progress: Callable[[int], None] | None = None,
    ) -> Checked:
        """Replay runs against a workflow's decisions, and give where each first differs.

        ``decide`` gives the events that the workflow would append next, or nothing; what they
        say must be recorded, more may be. ``decides`` holds the types that only the workflow
        decides: others come from outside, and may come in between. All runs are replayed that
        began from ``since`` on, before ``until`` (by their first event's ``occurred_at``) and
        are of ``workflow_id``, or those of ``run_ids``. ``on_progress`` is told how many runs
        were. Raises ``RunNotFound``, ``InvalidArgument``, and what reading raises.
        """
        checker = Checker.of(decide, decides)
        for moment in (since, until):
            if moment is not None and moment.tzinfo is None:
                raise InvalidArgument("a time needs its zone: use datetime.now(UTC), or +00:00")
        checked = Checked()
        for run_id in self._begun(workflow_id, since, until) if run_ids is None else run_ids:
            events = self._store.load(run_id)
            found = checker.first_divergence(run_id, events)
            checked.add(found, len(events), max_divergences)
            if on_progress is not None:
                on_progress(checked.runs)
        return checked

    def export(
        self,
        target: Target,
        format: str | None = None,  # noqa: A002 - the setting's name
        *,
        run_ids: str | Iterable[str] | None = None,
        workflow_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Write events to a file, and give how many; see ``replay.export_events``."""
        return export_events(
            self._store,
            target,
            format,
            run_ids=run_ids,
            workflow_id=workflow_id,
            on_progress=on_progress,
        )

    def _begun(
        self, workflow_id: str | None, since: datetime | None, until: datetime | None
    ) -> Iterator[str]:
        def fits(event: RecordedEvent) -> bool:
            return (
                event.version == 1
                and (since is None or event.occurred_at >= since)
                and (until is None or event.occurred_at < until)
            )

        everything = self._store.read_all(workflow_id=workflow_id)
        return (event.run_id for event in everything if fits(event))


class Audit:
    """The asyncio form of ``SyncAudit``: it works in a thread, on a connection of its own."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def verify(
        self, archive: Archive | None = None, database: Database | None = None, **options: Any
    ) -> AuditReport:
        """Prove that everything is as it was written; see ``SyncAudit.verify``."""
        return await self._in_thread(lambda audit: audit.verify(archive, database, **options))

    async def history(self, run_id: str) -> list[Deed]:
        """Say who did what to a run, when, and what each came of; see ``SyncAudit.history``."""
        return history_of(await self._store.load(run_id))

    async def check(
        self, decide: Decide, run_ids: Iterable[str] | None = None, **options: Any
    ) -> Checked:
        """Replay runs against a workflow's decisions; see ``SyncAudit.check``."""
        return await self._in_thread(lambda audit: audit.check(decide, run_ids, **options))

    async def export(
        self,
        target: Target,
        format: str | None = None,  # noqa: A002 - the setting's name
        **options: Any,
    ) -> int:
        """Write events to a file, and give how many; see ``SyncAudit.export``."""
        return await self._in_thread(lambda audit: audit.export(target, format, **options))

    async def _in_thread(self, act: Callable[[SyncAudit], T]) -> T:
        def work() -> T:
            with SyncEventStore(self._store.opening).start() as store:
                return act(SyncAudit(store))

        return await asyncio.to_thread(work)
