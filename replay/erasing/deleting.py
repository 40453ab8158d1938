"""The deletion of a run: one event, after which everything else lets go of it."""

from __future__ import annotations

from eventstore import RUN_EXISTS, NewEvent, RunClosed, RunNotFound, WrongExpectedVersion
from eventstore.appends import Append, AppendResult
from eventstore.operations import Operations
from eventstore.plan import Plan
from eventstore.retention.errors_told import forget_errors


def delete(operations: Operations, run_id: str, reason: str | None, actor: str | None) -> Plan[int]:
    """Delete a run, and give the version of that. One that is deleted already stays as it is.

    What errors told of it leaves the groups that set it aside.
    """
    meta = {} if actor is None else {"actor": actor}
    deleted = NewEvent("run.deleted", {"reason": reason}, meta=meta)
    try:
        result: AppendResult = yield Append(run_id, [deleted], RUN_EXISTS)
        version = result.last_version
    except WrongExpectedVersion:
        raise RunNotFound(run_id) from None
    except RunClosed as closed:
        version = closed.version
    yield from forget_errors(operations.keys, [run_id])
    return version
