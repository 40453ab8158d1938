"""Checkpoints that a worker saves while its run goes on."""

from __future__ import annotations

from typing import Any

from eventstore import RUN_EXISTS, NewEvent
from eventstore.operations import Operations
from eventstore.plan import Plan
from replay.recording import record


def save(
    operations: Operations,
    run_id: str,
    state: dict[str, Any],
    resume_at: Any,
    expected: Any,
    meta: dict[str, Any] | None,
) -> Plan[int]:
    """Record a checkpoint; gives its version."""
    event = NewEvent("checkpoint.saved", {"state": state, "resume_at": resume_at}, meta=meta)
    asked = RUN_EXISTS if expected is None else expected
    result = yield from record(operations, run_id, event, asked)
    return result.last_version
