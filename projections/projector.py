"""The projector: reads the log and writes rows and position in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from eventstore.errors import (
    HistoryGap,
    InvalidArgument,
    ProjectionFailed,
    ServerRefused,
    StoreMismatch,
    StoreUnavailable,
)
from eventstore.events import Position, RecordedEvent
from projections.database import Database, Transaction
from projections.positions import (
    DEFAULT_WAIT_S,
    Appended,
    Reached,
    common_positions,
    load_positions,
    wait_for,
    write_positions,
)
from projections.projection import Projection
from projections.registry import register
from projections.runs import RunProjection
from projections.status import ProjectorStatus, projector_status
from projections.timelines import TimelineProjection
from projections.writer_lock import WriterLock

BUILT_IN: tuple[type[Projection], ...] = (RunProjection, TimelineProjection)
"""What ``Runs``, ``Timeline`` and ``Pauses`` read."""

DEFAULT_BATCH_EVENTS = 1_000
DEFAULT_BLOCK_MS = 500
DEFAULT_RETRY_PAUSE_MS = 100
DEFAULT_RETRY_PAUSE_MAX_MS = 5_000

log = logging.getLogger(__name__)


class Log(Protocol):
    """What a projector needs of a store; ``SyncEventStore`` has it."""

    @property
    def identity(self) -> str:
        """A name of the store that stays the same as long as its data lives."""

    def read_log(
        self, after: Mapping[int, Position], *, limit: int, block_ms: int | None = None
    ) -> list[RecordedEvent]:
        """Give up to ``limit`` events after the positions, each partition in order."""

    def tails(self) -> Mapping[int, Position]:
        """Give the last position of each partition that has events."""


class Projector:
    """Feeds the projections of a database from a store's log.

    Each event counts once: rows and positions are committed together, and after a kill anywhere
    the projector goes on where the last transaction ended. ``projections`` are classes (or
    functions that make one), since each projector has its own; one that is new to the database
    catches up from the beginning of the log. From the first run until ``close`` this is the
    database's only projector.

    - ``batch_events``: the most events in one transaction.
    - ``block_ms``: how long ``run`` waits at the store before it looks at ``stop`` again.
    - ``retry_pause_ms``, ``retry_pause_max_ms``: how ``run`` waits for an unreachable store.
    """

    def __init__(
        self,
        store: Log,
        database: Database,
        projections: Iterable[Callable[[], Projection]] = BUILT_IN,
        *,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        block_ms: int = DEFAULT_BLOCK_MS,
        retry_pause_ms: int = DEFAULT_RETRY_PAUSE_MS,
        retry_pause_max_ms: int = DEFAULT_RETRY_PAUSE_MAX_MS,
    ) -> None:
        self._projections = [make() for make in projections]
        ...
