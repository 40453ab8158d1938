"""Changing runs from outside: pausing and resuming."""

from __future__ import annotations

from typing import Any, Literal

from eventstore import EventStore, SyncEventStore
from replay import pausing
from replay.context import RunContext
from replay.pausing import Paused, Window

OnExpiry = Literal["restore", "park", "fail", "abort"]


class RunControl:
    """Pauses and resumes runs of an ``EventStore``."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def pause(
        self,
        run_id: str,
        *,
        state: dict[str, Any],
        resume_at: Any = None,
        window: Window,
        on_expiry: OnExpiry,
        pause_id: str | None = None,
        node_id: str | None = None,
        reason: str | None = None,
        expected: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> Paused:
        """Record that a run waits, with the checkpoint it can go on from.

        - ``state``: what the run needs to go on; ``resume_at``: where, in the workflow's terms.
        - ``window``: how long its live context is kept: a timedelta or seconds; 0 ends at once,
          None never. It counts from the server's clock.
        - ``on_expiry``: ``restore`` goes on by itself, ``park`` stays paused, ``fail`` and
          ``abort`` end the run.
        - ``expected``: the version the run must be at; else it must exist.

        Raises as ``EventStore.append`` does.
        """
        data = _data(state, resume_at, on_expiry, node_id, reason)
        plan = pausing.pause(run_id, data, window, pause_id, expected, meta)
        return await self._store.perform(plan)

    async def resume(
        self,
        run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        pause_id: str | None = None,
        cause: str = "manual",
        actor: str | None = None,
    ) -> RunContext:
        """End a pause and give the context to go on with; ``patch`` goes into the state.

        After the window the context is restored from the checkpoint. Of all that try, one
        wins: the others get ``AlreadyResumed``. Raises ``PauseNotFound`` where no pause, or
        none but several, could be meant; ``RunClosed``; ``RunNotFound``; as ``append`` does.
        After ``OutcomeUnknown`` call it again: an ``AlreadyResumed`` that names your own
        ``actor`` says that you had won, and ``TimeTravel.state_at`` has the state.
        """
        operations = self._store.operations
        return await self._store.perform(
            pausing.resume(operations, run_id, patch, pause_id, cause, actor)
        )


class SyncRunControl:
    """Pauses and resumes runs of a ``SyncEventStore``; the blocking twin of ``RunControl``."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store

    def pause(
        self,
        run_id: str,
        *,
        state: dict[str, Any],
        resume_at: Any = None,
        window: Window,
        on_expiry: OnExpiry,
        pause_id: str | None = None,
        node_id: str | None = None,
        reason: str | None = None,
        expected: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> Paused:
        """Record that a run waits; see ``RunControl.pause``."""
        data = _data(state, resume_at, on_expiry, node_id, reason)
        plan = pausing.pause(run_id, data, window, pause_id, expected, meta)
        return self._store.perform(plan)

    def resume(
        self,
        run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        pause_id: str | None = None,
        cause: str = "manual",
        actor: str | None = None,
    ) -> RunContext:
        """End a pause and give the context to go on with; see ``RunControl.resume``."""
        operations = self._store.operations
        return self._store.perform(
            pausing.resume(operations, run_id, patch, pause_id, cause, actor)
        )


def _data(
    state: dict[str, Any], resume_at: Any, on_expiry: str, node_id: str | None, reason: str | None
) -> dict[str, Any]:
    data = {"state": state, "resume_at": resume_at, "on_expiry": on_expiry}
    given = {"node_id": node_id, "reason": reason}
    return data | {name: value for name, value in given.items() if value is not None}
