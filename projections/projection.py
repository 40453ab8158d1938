"""What a projection is: a name, a version, its tables, and what an event does to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

from eventstore.events import RecordedEvent
from projections.database import Database, Transaction

OnFailure = Literal["stop", "skip"]


class Projection(ABC):
    """Rows that are made from events. Subclass it, and give the class to a ``Projector``.

    - ``name`` stands for the projection in the database.
    - ``version`` goes up when its rows come out differently: they are then made anew, beside the
      old ones, when a projector starts.
    - ``schema`` is the SQL that makes its tables, run once, when the projection is first seen.
    - ``tables`` are those that hold its rows; empty, they are the ones that ``schema`` makes.
    - ``run_tables`` are those of them whose every row follows from the events of one run, which
      its column ``run_id`` names. They can be rebuilt and sampled run by run.
    - ``on_failure`` says what an event does that ``apply`` cannot take: ``stop`` the projection
      there until it is resumed, while the others go on; or ``skip`` it into ``dead_events``.

    Each event is given once, each run's events in order (between runs the order may differ when
    the rows are made again); rows and position are committed together. An instance belongs to
    one projector, which may make further ones with ``fresh``.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    schema: ClassVar[str] = ""
    tables: ClassVar[tuple[str, ...]] = ()
    run_tables: ClassVar[tuple[str, ...]] = ()
    on_failure: ClassVar[OnFailure] = "stop"

    @abstractmethod
    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        """Take one event in. Rows may be kept back until ``flush``."""

    def flush(self, tx: Transaction) -> None:  # noqa: B027 - there may be nothing to do
        """Write what was kept back: the batch is about to be committed."""

    def forget(self) -> None:  # noqa: B027 - there may be nothing to do
        """Drop what is kept in memory: the batch was rolled back, or the database changed."""

    def idle(self, database: Database) -> int:  # noqa: ARG002 - there may be nothing to do
        """Do some of what can wait, at the log's end; give how much, 0 when nothing is left.

        It must be safe to repeat, and to leave undone: it is no part of the rows.
        """
        return 0

    def fresh(self) -> Self:
        """Give another instance that knows nothing yet; override it if yours takes arguments."""
        return type(self)()
