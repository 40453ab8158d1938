"""What runs can go on from, as read from the rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from eventstore.errors import InvalidArgument, RunNotFound, StoreMismatch
from projections.database import Transaction
from projections.queries.base import Listing, Order
from projections.queries.conditions import check_text, moment
from projections.queries.page import check_whole

_MAX_VERSION = 2**63 - 1
_COLUMNS = "run_id, version, pause_id, occurred_ms, resume_at, state"
_LATEST = f"""
SELECT {_COLUMNS} FROM checkpoints
WHERE run_id = ? AND version <= ? ORDER BY version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run can go on from: its state, and where to resume, as saved at ``version``."""

    run_id: str
    version: int
    pause_id: str | None
    saved_at: datetime
    resume_at: Any
    state: dict[str, Any]


def _make(
    run_id: str, version: int, pause_id: str | None, occurred_ms: int, resume_at: str, state: str
) -> Checkpoint:
    return Checkpoint(
        run_id=run_id,
        version=version,
        pause_id=pause_id,
        saved_at=moment(occurred_ms),
        resume_at=orjson.loads(resume_at),
        state=orjson.loads(state),
    )


CHECKPOINTS = Listing("checkpoints", _COLUMNS, _make)
LATEST_FIRST = Order(("version",), (int,), descending=True)


def read_checkpoint(tx: Transaction, run_id: str, version: int | None) -> Checkpoint | None:
    """Give the latest checkpoint, or the latest up to ``version``; raises as ``checkpoint``.

    A checkpoint is nothing to go on from where the run that is known does not reach that far.
    """
    up_to = None if version is None else check_whole("version", version, _MAX_VERSION)
    known = tx.execute("SELECT version FROM runs WHERE run_id = ?", (check_text("run_id", run_id),))
    if not known:
        raise RunNotFound(run_id)
    ((last,),) = known
    if up_to is not None and up_to > last:
        raise InvalidArgument(
            f"the database knows {last} versions of run {run_id!r}, there is no version {up_to}",
            run_id=run_id,
            version=up_to,
        )
    rows = tx.execute(_LATEST, (run_id, up_to or _MAX_VERSION))
    found = _make(*rows[0]) if rows else None
    if found is not None and found.version > last:
        raise StoreMismatch(
            f"the database has a checkpoint at version {found.version} of run {run_id!r}, which "
            f"ends at version {last}; make its rows anew with 'runstore project rebuild --run'",
            run_id=run_id,
            found=found.version,
            expected=last,
        )
    return found
