"""What a projection is: a name, a version, its tables, and what an event does to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from eventstore.events import RecordedEvent
from projections.database import Transaction


class Projection(ABC):
    """Rows that are made from events. Subclass it, and give the class to a ``Projector``.

    ``name`` stands for the projection in the database; ``version`` goes up when its rows come
    out differently; ``schema`` is the SQL that makes its tables, run once, when the projection
    is first seen. Each event is given once, each run's events in order; rows and position are
    committed together. An instance belongs to one projector.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    schema: ClassVar[str] = ""

    @abstractmethod
    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Take one event in. Rows may be kept back until ``flush``."""

    def flush(self, tx: Transaction) -> None:  # noqa: B027 - there may be nothing to do
        """Write what was kept back: the batch is about to be committed."""

    def forget(self) -> None:  # noqa: B027 - there may be nothing to do
        """Drop what is kept in memory: the batch was rolled back, or the database changed."""
