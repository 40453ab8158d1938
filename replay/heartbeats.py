"""Signs of life, as a plan."""

from __future__ import annotations

from datetime import datetime

from eventstore import RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.checks import check_count
from eventstore.clock import from_ms
from eventstore.events import check_run_id
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.stalls import heartbeat


def beat(operations: Operations, run_id: str, expected: int | None) -> Plan[datetime | None]:
    """Move a run's stall deadline; None if it has none now."""
    if expected is not None:
        check_count("expected", expected)
    (told,) = yield [heartbeat(operations.keys, check_run_id(run_id), expected)]
    if told.outcome == "none":
        raise RunNotFound(run_id)
    if told.outcome == "closed":
        raise RunClosed(run_id, told.number)
    if told.outcome == "version":
        raise WrongExpectedVersion(run_id, expected or 0, told.number)
    return None if told.number is None else from_ms(told.number)
