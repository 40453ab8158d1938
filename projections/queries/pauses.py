"""Questions about pauses and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from eventstore.events.payloads import ResumeCause
from projections.queries.base import Listing, Order, Queries, chosen, filtered
from projections.queries.checkpoints import (
    CHECKPOINTS,
    LATEST_FIRST,
    Checkpoint,
    read_checkpoint,
)
from projections.queries.conditions import Conditions, maybe_moment, moment
from projections.queries.page import Page
from projections.rows.pauses import REPLACED, RUN_ENDED

STATUSES = ("open", "expired", "resumed", "ended")
WAITING = ("open", "expired")
"""The statuses of pauses that still hold their run."""
CAUSES = (*get_args(ResumeCause), RUN_ENDED, REPLACED)
"""What can end a pause."""

_BY_START = ("paused_ms", "run_id", "version")
_BY_EXPIRY = ("expires_ms", "run_id", "version")
_KINDS = (int, str, int)
ORDERS = {
    "paused": Order(_BY_START, _KINDS),
    "-paused": Order(_BY_START, _KINDS, descending=True),
    "expires": Order(_BY_EXPIRY, _KINDS, present=True),
    "-expires": Order(_BY_EXPIRY, _KINDS, descending=True, present=True),
}
"""The orders of ``list_pauses``; a minus means downwards: latest first."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause. ``version`` is that of its ``run.paused`` event, and of its checkpoint.

    ``waited_seconds`` stands for resumed pauses; ``late`` says that the resume came after the
    window. ``cause`` and ``actor`` say what and who ended it.
    """

    run_id: str
    version: int
    pause_id: str
    workflow_id: str | None
    node_id: str | None
    reason: str | None
    status: str
    on_expiry: str
    paused_at: datetime
    window_seconds: float | None
    expires_at: datetime | None
    restored_at: datetime | None
    resumed_at: datetime | None
    ended_at: datetime | None
    waited_seconds: float | None
    late: bool
    cause: str | None
    actor: str | None


_COLUMNS = (
    "run_id, version, pause_id, workflow_id, node_id, reason, status, on_expiry, paused_ms, "
    "window_ms, expires_ms, restored_ms, resumed_ms, ended_ms, waited_ms, cause, actor"
)


def _make_pause(
    run_id: str,
    version: int,
    pause_id: str,
    workflow_id: str | None,
    node_id: str | None,
    reason: str | None,
    status: str,
    on_expiry: str,
    paused_ms: int,
    window_ms: int | None,
    expires_ms: int | None,
    restored_ms: int | None,
    resumed_ms: int | None,
    ended_ms: int | None,
    waited_ms: int | None,
    cause: str | None,
    actor: str | None,
) -> Pause:
    return Pause(
        run_id=run_id,
        version=version,
        pause_id=pause_id,
        workflow_id=workflow_id,
        node_id=node_id,
        reason=reason,
        status=status,
        on_expiry=on_expiry,
        paused_at=moment(paused_ms),
        window_seconds=_seconds(window_ms),
        expires_at=maybe_moment(expires_ms),
        restored_at=maybe_moment(restored_ms),
        resumed_at=maybe_moment(resumed_ms),
        ended_at=maybe_moment(ended_ms),
        waited_seconds=_seconds(waited_ms),
        late=resumed_ms is not None and expires_ms is not None and resumed_ms > expires_ms,
        cause=cause,
        actor=actor,
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1_000


_PAUSES = Listing("pauses", _COLUMNS, _make_pause)


class Pauses(Queries):
    """Which runs wait or waited, for what, how long, and what they can go on from."""

    projection = "runs"

    @filtered
    def list_pauses(
        self,
        *,
        run_id: str | None = None,
        workflow_id: str | None = None,
        status: str | Iterable[str] | None = None,
        reason: str | None = None,
        cause: str | Iterable[str] | None = None,
        actor: str | None = None,
        paused_after: datetime | None = None,
        paused_before: datetime | None = None,
        expiring_before: datetime | None = None,
        order: str = "-paused",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Pause]:
        """List the pauses that meet all filters, ``limit`` of 1 to 1,000 a page.

        ``status`` is one or several of ``open``, ``expired`` (the window ended, the run still
        waits), ``resumed`` and ``ended`` (with the run); ``WAITING`` are the first two. ``cause``
        (one or several of ``CAUSES``) and ``actor`` are what and who ended it. Times need a zone:
        ``…_after`` includes its moment. Windows without end have no expiry: they are missing
        where it is asked for or ordered by. Raises ``InvalidArgument`` for a value, order or
        cursor it cannot take.
        """
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        conditions.equal("workflow_id", workflow_id)
        conditions.among("status", status, STATUSES)
        conditions.equal("reason", reason)
        conditions.among("cause", cause, CAUSES)
        conditions.equal("actor", actor)
        conditions.between("paused_ms", paused_after, paused_before)
        conditions.between("expires_ms", None, expiring_before)
        return self._page(_PAUSES, conditions, chosen(ORDERS, order), limit, cursor)

    def counts_by_reason(self) -> dict[str | None, int]:
        """Count the pauses of each reason, open and over, the most frequent first."""
        return dict(
            self._rows("SELECT reason, count(*) FROM pauses GROUP BY reason ORDER BY 2 DESC, 1")
        )

    def counts_by_status(self) -> dict[str, int]:
        """Count the pauses of each status that has any."""
        return dict(
            self._rows("SELECT status, count(*) FROM pauses GROUP BY status ORDER BY status")
        )

    def paused_seconds(self) -> float:
        """Sum how long the resumed pauses lasted, in seconds."""
        rows = self._rows("SELECT coalesce(sum(waited_ms), 0) FROM pauses WHERE status = 'resumed'")
        return float(rows[0][0] / 1_000)

    def late_resumes(self) -> int:
        """Count the pauses that were resumed after their window had ended."""
        return int(self._rows("SELECT count(*) FROM pauses WHERE resumed_ms > expires_ms")[0][0])

    @filtered
    def checkpoints(
        self, run_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Checkpoint]:
        """List a run's checkpoints, the latest first."""
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        return self._page(CHECKPOINTS, conditions, LATEST_FIRST, limit, cursor)

    def checkpoint(self, run_id: str, version: int | None = None) -> Checkpoint | None:
        """Give the latest checkpoint of a run, or the latest up to ``version``; None if none.

        Raises ``RunNotFound``; ``InvalidArgument`` for a version below 1, or one that the database
        does not know yet (see ``wait_for``); ``StoreMismatch`` where it knows a checkpoint, but not
        the run up to there.
        """
        with self._database.snapshot() as tx:
            return read_checkpoint(tx, run_id, version)
