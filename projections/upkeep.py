"""What is done to and asked of the projections of a database, beside feeding them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from eventstore.clock import Clock
from eventstore.events import Position
from projections.database import Database
from projections.log import RunLog
from projections.projection import Projection
from projections.rebuilding import OnProgress, Rebuilt, rebuild
from projections.run_rebuilding import rebuild_run
from projections.standing import pause, resume
from projections.status import ProjectionStatus, projection_status
from projections.verifying import DEFAULT_MAX_DIFFERENCES, Verified, verify
from projections.waiting import DEFAULT_WAIT_S, Appended, wait_for


class Upkeep:
    """The upkeep of a projector's own projections.

    Any thread may do it, also while another one runs the projector.
    """

    def __init__(
        self, store: RunLog, database: Database, projections: Sequence[Projection], clock: Clock
    ) -> None:
        self._store = store
        self._database = database
        self._projections = projections
        self._names = [projection.name for projection in projections]
        self._clock = clock

    def pause(self, name: str, cause: str = "") -> None:
        """Stop feeding a projection until ``resume``, also over restarts; the others go on."""
        pause(self._database, name, cause, clock=self._clock)

    def resume(self, name: str) -> None:
        """Let a paused or failed projection go on where it stands."""
        resume(self._database, name)

    def rebuild(self, *names: str, on_progress: OnProgress | None = None) -> Rebuilt:
        """Make the rows of the named projections anew, or of all; see ``rebuilding.rebuild``."""
        return rebuild(
            self._store, self._database, names, self._projections, on_progress=on_progress
        )

    def rebuild_run(self, run_id: str) -> dict[str, int]:
        """Make one run's rows anew, and give how many by table; see ``rebuild_run``."""
        return rebuild_run(self._store, self._database, run_id, self._projections)

    def verify(
        self,
        *names: str,
        max_differences: int = DEFAULT_MAX_DIFFERENCES,
        on_progress: OnProgress | None = None,
    ) -> Verified:
        """Compare the rows of the named projections, or of all, with a rebuild; see ``verify``."""
        return verify(
            self._store,
            self._database,
            names,
            self._projections,
            max_differences=max_differences,
            on_progress=on_progress,
        )

    def wait_for(
        self, appended: Appended | Iterable[Position], timeout: float | timedelta = DEFAULT_WAIT_S
    ) -> None:
        """Wait until this projector's rows show what was appended; see ``wait_for``."""
        wait_for(self._database, appended, timeout, projections=self._names)

    def status(self) -> list[ProjectionStatus]:
        """Say how far each projection of the database is, and how far behind the log."""
        return projection_status(self._database, self._store.tails())
