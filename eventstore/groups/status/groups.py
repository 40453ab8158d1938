"""Seeing and steering consumer groups from outside, while their services run or are stopped."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from eventstore.groups.start import Start
from eventstore.groups.status import looking, steering
from eventstore.groups.status.facts import GroupStatus, PartitionLag
from eventstore.groups.status.steering import Reset
from eventstore.groups.status.target import Target

if TYPE_CHECKING:
    from eventstore.store import EventStore
    from eventstore.sync_store import SyncEventStore


class Groups:
    """The consumer groups of an ``EventStore``."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def list(self) -> tuple[GroupStatus, ...]:
        """Tell how each group stands, by name."""
        return await self._store.perform(looking.list_groups(self._store.operations))

    async def show(self, name: str) -> GroupStatus:
        """Tell how a group stands. Raises ``UnknownGroup``.

        What is wrong in a partition (the group is missing there, the log lost its end) is told
        as its ``problem``.
        """
        return await self._store.perform(looking.show(self._store.operations, name))

    async def lag(self, name: str) -> tuple[PartitionLag, ...]:
        """Tell how far a group is behind in each partition. Raises ``UnknownGroup``."""
        return await self._store.perform(looking.lag(self._store.operations, name))

    async def create(self, name: str, start: Start | datetime = "beginning") -> None:
        """Make a group that begins at ``start``, before any member of it runs.

        A time is what was recorded from then on.

        Raises ``InvalidArgument`` if it is there already, or for a start that the log lacks.
        """
        await self._store.perform(steering.create(self._store.operations, name, start))

    async def reset(
        self,
        name: str,
        to: Target,
        *,
        by: str,
        dry_run: bool = False,
        force: bool = False,
        drop_parked: bool = False,
    ) -> Reset:
        """Let a group go on from another place: earlier to handle events again, later to skip.

        - ``to``: ``"beginning"``, ``"end"``, a time (what was recorded from then on), a position
          (what comes after it, and in other partitions from its millisecond on), or positions by
          partition; partitions that are not named stay as they are.
        - ``by``: who does it; it is recorded, with the server's time.
        - ``dry_run``: only tell what would be done.
        - ``force``: also while members live. They lose their partitions, and what they are just
          handling is not acknowledged any more.
        - ``drop_parked``: forget the runs that are set aside in these partitions.

        What members had in hand is forgotten; behind the new place it is read again. Killed
        half-way, call it again. Raises ``UnknownGroup``; ``InvalidArgument`` while members live,
        and for a position that the log lacks.
        """
        return await self._store.perform(
            steering.reset(
                self._store.operations,
                name,
                to,
                by=by,
                dry_run=dry_run,
                force=force,
                drop_parked=drop_parked,
            )
        )

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Forget a group: how far it got, its members, the runs that it set aside.

        The events stay. Killed half-way, call it again. ``force`` deletes it also while members
        live; they end with ``UnknownGroup``. Raises ``UnknownGroup``, and ``InvalidArgument``
        while members live.
        """
        await self._store.perform(steering.delete(self._store.operations, name, force=force))


class SyncGroups:
    """The consumer groups of a ``SyncEventStore``; the blocking twin of ``Groups``."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store

    def list(self) -> tuple[GroupStatus, ...]:
        """Tell how each group stands, by name."""
        return self._store.perform(looking.list_groups(self._store.operations))

    def show(self, name: str) -> GroupStatus:
        """Tell how a group stands; see ``Groups.show``."""
        return self._store.perform(looking.show(self._store.operations, name))

    def lag(self, name: str) -> tuple[PartitionLag, ...]:
        """Tell how far a group is behind in each partition; see ``Groups.lag``."""
        return self._store.perform(looking.lag(self._store.operations, name))

    def create(self, name: str, start: Start | datetime = "beginning") -> None:
        """Make a group; see ``Groups.create``."""
        self._store.perform(steering.create(self._store.operations, name, start))

    def reset(
        self,
        name: str,
        to: Target,
        *,
        by: str,
        dry_run: bool = False,
        force: bool = False,
        drop_parked: bool = False,
    ) -> Reset:
        """Let a group go on from another place; see ``Groups.reset``."""
        return self._store.perform(
            steering.reset(
                self._store.operations,
                name,
                to,
                by=by,
                dry_run=dry_run,
                force=force,
                drop_parked=drop_parked,
            )
        )

    def delete(self, name: str, *, force: bool = False) -> None:
        """Forget a group; see ``Groups.delete``."""
        self._store.perform(steering.delete(self._store.operations, name, force=force))
