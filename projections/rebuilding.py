"""Rebuilds projections beside their live rows, and puts them in place in one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from eventstore.clock import Clock, monotonic, system_clock
from eventstore.errors import InvalidArgument
from projections.aside import Aside
from projections.built_in import BUILT_IN
from projections.database import Database
from projections.feed import DEFAULT_BATCH_EVENTS
from projections.log import Log
from projections.projection import Projection
from projections.switching import switch


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """How far a rebuild is: events read, of so many in the log; the rest is None at first.

    ``per_second`` and ``seconds_left`` count what this process has read; what was there of an
    earlier one, that was killed, cost no time.
    """

    events: int
    total: int
    per_second: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: ``events`` were read by it, after ``continued_at`` by an earlier one.

    ``switch_seconds`` is how long writers waited for the switch; readers never wait.
    """

    projections: tuple[str, ...]
    events: int
    continued_at: int
    seconds: float
    switch_seconds: float


OnProgress = Callable[[RebuildProgress], None]


class Rebuild:
    """One rebuild: steps that read the log, then the switch. Closed early, it can be gone on with.

    Raises ``StoreMismatch`` while another one of this database is under way, naming its process.
    """

    def __init__(
        self,
        store: Log,
        database: Database,
        projections: Sequence[Projection],
        *,
        anew: bool = False,
        batch_events: int = DEFAULT_BATCH_EVENTS,
        clock: Clock = system_clock,
    ) -> None:
        self._store = store
        self._live = database
        self._clock = clock
        self._began_s = monotonic()
        self._aside = Aside(
            store,
            database,
            projections,
            "rebuild",
            anew=anew,
            batch_events=batch_events,
            clock=clock,
        )
        self.names = tuple(projection.name for projection in projections)
        self._continued_at = self._aside.events
        self._total = sum(tail.n for tail in store.tails().values())

    def step(self) -> int:
        """Read one batch; 0 when all is read and the switch may come. Raises as ``rebuild``."""
        return self._aside.step()

    def switch(self) -> Rebuilt:
        """Put the new rows in place, and end."""
        self._aside.database.settle()  # what can be written before others wait, is
        held_s = switch(self._store, self._live, self._aside, self._clock)
        events = self._aside.events - self._continued_at
        self._aside.discard()
        seconds = monotonic() - self._began_s
        return Rebuilt(self.names, events, self._continued_at, seconds, held_s)

    def progress(self) -> RebuildProgress:
        """Say how far it is."""
        events = self._aside.events
        done, seconds = events - self._continued_at, monotonic() - self._began_s
        rate = done / seconds if done and seconds else None
        left = max(0, self._total - events)
        return RebuildProgress(events, max(self._total, events), rate, rate and left / rate)

    def close(self) -> None:
        """Stop here; the next one for the same projections goes on."""
        self._aside.close()


def rebuild(
    store: Log,
    database: Database,
    names: Collection[str] = (),
    projections: Iterable[type[Projection] | Projection] = BUILT_IN,
    *,
    anew: bool = False,
    on_progress: OnProgress | None = None,
) -> Rebuilt:
    """Make the rows of the named ``projections`` anew, or of all, from archive and log.

    That happens in a file beside the database, ``<database>.rebuild``, which takes as much room
    again until it ends; before the switch the database grows by as much. Readers and a projector
    go on meanwhile, in this process or others; readers see the old rows until one transaction puts
    the new ones in place. Killed, it is gone on with by the next one, unless ``anew``: use that
    after a change of code that left a projection's ``version`` as it was.

    A failed projection runs again afterwards, a paused one stays paused. Raises
    ``InvalidArgument`` for a name that is not among ``projections``, ``StoreMismatch`` while
    another rebuild is under way, ``ProjectionFailed`` for an event that cannot be taken,
    ``HistoryGap`` where events are in neither archive nor log; the old rows then stand.
    """
    rebuilding = Rebuild(store, database, chosen(projections, names), anew=anew)
    try:
        while rebuilding.step():
            if on_progress:
                on_progress(rebuilding.progress())
        return rebuilding.switch()
    finally:
        rebuilding.close()


def chosen(
    projections: Iterable[type[Projection] | Projection], names: Collection[str]
) -> list[Projection]:
    """Give the named projections, or all where none is named."""
    known = [one() if isinstance(one, type) else one for one in projections]
    unknown = set(names) - {one.name for one in known}
    if unknown:
        raise InvalidArgument(
            f"no projection {min(unknown)!r} in this code; it has: "
            f"{', '.join(sorted(one.name for one in known))}"
        )
    return [one for one in known if not names or one.name in names]
