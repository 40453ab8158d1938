"""Time travel in its two forms, over the same plans."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from eventstore import EventStore, SyncEventStore
from eventstore.events import new_id
from projections.state import RunState
from replay.timetravel.differing import Change, differences
from replay.timetravel.folding import Folding
from replay.timetravel.forking import Fork, Order, fork
from replay.timetravel.past import At
from replay.timetravel.rerunning import rerun
from replay.timetravel.snapshots import SnapshotFile


class TimeTravel:
    """Reads and copies the past of an ``EventStore``'s runs; nothing writes into it.

    With ``snapshots``, states on the way are kept, so that late versions of long runs need not
    be folded from the beginning each time.
    """

    def __init__(self, store: EventStore, *, snapshots: SnapshotFile | None = None) -> None:
        self._store = store
        self._snapshots = snapshots

    async def state_at(self, run_id: str, at: At = None) -> RunState:
        """Give a run's state at a version, or at a time by when its events occurred.

        Version 0, or a time before the run, gives the state before its first event. Raises
        ``RunNotFound``; ``InvalidArgument`` for a version that the run does not have;
        ``LogRegressed`` where a snapshot shows that the run once went further.
        """
        folding = Folding(self._store, run_id, at, self._snapshots)
        await asyncio.to_thread(folding.find_start)
        state = await self._store.perform(folding.plan())
        await asyncio.to_thread(folding.keep)
        return state

    async def load_state(self, run_id: str) -> RunState:
        """Give a run's state as it is now: ``state_at`` without a version, and raises as it."""
        return await self.state_at(run_id)

    async def diff(self, run_id: str, a: At, b: At = None) -> list[Change]:
        """Give what differs in a run's ``RunState`` between two versions or times.

        Raises as ``state_at`` does.
        """
        return _changes(await self.state_at(run_id, a), await self.state_at(run_id, b))

    async def fork(
        self,
        run_id: str,
        at: At,
        new_run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Fork:
        """Begin a run that has another one's events up to a version or a time as its own.

        At that version its state is what the parent's was. The events keep their ids and times;
        their ``meta`` says ``forked_from``, and ``run.created`` names ``parent`` and
        ``parent_version``. A ``patch`` of the state is one more event, by ``actor``. The fork is
        there whole or not at all, and the same call again finds it (``already_there``). What a
        window of a pause still open there says, holds for the fork too: one that has ended is
        due at once.

        Raises ``WrongExpectedVersion`` where ``new_run_id`` is another run already;
        ``InvalidArgument`` for a version or time without events, for more than
        ``max_copied_events``, and for a patch behind the end of the run; ``RunNotFound``; as
        ``EventStore.append`` does. With ``dry_run`` nothing is written.
        """
        order = Order(new_run_id, patch, actor, dry_run)
        return await self._store.perform(fork(self._store.operations, run_id, at, order))

    async def rerun_from(
        self,
        run_id: str,
        node_id: str,
        new_run_id: str | None = None,
        *,
        keep: Collection[str] = (),
        patch: dict[str, Any] | None = None,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Fork:
        """Fork a run from before a node first appears, to run it and what came of it again.

        Later events of other nodes come along where they do not come of it: those in ``keep``,
        those that had begun before, and those whose ``causation_id`` or ``inputs`` lead to what
        stays. Nodes that say neither are cleared, as is what belongs to no node. Without
        ``new_run_id`` the fork gets an id of its own, and the same call again makes another one.

        Raises as ``fork`` does, and ``InvalidArgument`` for nodes that the run does not have.
        """
        order = Order(new_id() if new_run_id is None else new_run_id, patch, actor, dry_run)
        plan = rerun(self._store.operations, run_id, node_id, keep, order)
        return await self._store.perform(plan)


class SyncTimeTravel:
    """Reads and copies the past of a ``SyncEventStore``'s runs; see ``TimeTravel``."""

    def __init__(self, store: SyncEventStore, *, snapshots: SnapshotFile | None = None) -> None:
        self._store = store
        self._snapshots = snapshots

    def state_at(self, run_id: str, at: At = None) -> RunState:
        """Give a run's state at a version or a time; see ``TimeTravel.state_at``."""
        folding = Folding(self._store, run_id, at, self._snapshots)
        folding.find_start()
        state = self._store.perform(folding.plan())
        folding.keep()
        return state

    def load_state(self, run_id: str) -> RunState:
        """Give a run's state as it is now; see ``TimeTravel.load_state``."""
        return self.state_at(run_id)

    def diff(self, run_id: str, a: At, b: At = None) -> list[Change]:
        """Give what differs between two versions or times; see ``TimeTravel.diff``."""
        return _changes(self.state_at(run_id, a), self.state_at(run_id, b))

    def fork(
        self,
        run_id: str,
        at: At,
        new_run_id: str,
        patch: dict[str, Any] | None = None,
        *,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Fork:
        """Begin a run that has another one's events as its own; see ``TimeTravel.fork``."""
        order = Order(new_run_id, patch, actor, dry_run)
        return self._store.perform(fork(self._store.operations, run_id, at, order))

    def rerun_from(
        self,
        run_id: str,
        node_id: str,
        new_run_id: str | None = None,
        *,
        keep: Collection[str] = (),
        patch: dict[str, Any] | None = None,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Fork:
        """Fork a run to run a node again; see ``TimeTravel.rerun_from``."""
        order = Order(new_id() if new_run_id is None else new_run_id, patch, actor, dry_run)
        plan = rerun(self._store.operations, run_id, node_id, keep, order)
        return self._store.perform(plan)


def _changes(old: RunState, new: RunState) -> list[Change]:
    return list(differences(old.shown(), new.shown()))
