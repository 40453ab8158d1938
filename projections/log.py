"""The log that projections are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from eventstore.events import Position, RecordedEvent


class Log(Protocol):
    """What a projector needs of a store. ``SyncEventStore`` has it."""

    @property
    def identity(self) -> str:
        """The store's name for itself, the same for as long as its data lives."""

    def read_log(
        self, after: Mapping[int, Position], *, limit: int, block_ms: int | None = None
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events after the positions, each partition in its order."""

    def tails(self) -> Mapping[int, Position]:
        """Give the last position of each partition that has events."""


class RunLog(Log, Protocol):
    """A log whose runs can be read one by one."""

    def load(self, run_id: str) -> list[RecordedEvent]:
        """Give all events of a run, in order. Raises ``RunNotFound``."""
