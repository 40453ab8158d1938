"""What the tests of pauses share: reconcilers of either form, and runs that may stall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replaying import _form

from eventstore import NewEvent
from replay import Reconciler, RunContext, SyncReconciler

STALL_MS = 60_000
KEY = "0123456789abcdef0123456789abcdef"
APPROVAL = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "note": {"type": "string", "maxLength": 9}},
    "required": ["approved"],
    "additionalProperties": False,
}


def reconciler(store: Any, on_recovered: Callable[[RunContext], Any], **options: Any) -> Any:
    """Give the ``Reconciler`` of a store of either form."""
    return _form(store, Reconciler, SyncReconciler, on_recovered, **options)


async def begin_watched(store: Any, run_id: str, stall_after_ms: int = STALL_MS) -> None:
    """Let a run begin whose worker must show signs of life."""
    options = {"stall_after_ms": stall_after_ms}
    created = NewEvent("run.created", {"input": 7, "options": options}, workflow_id="intake")
    await store.append(run_id, [created, NewEvent("run.started", {"worker": "w1"})])


def deadlines(server: Any, namespace: str) -> dict[str, int]:
    """Give the deadlines of running runs in ms since 1970, without the store's help."""
    found: dict[str, int] = {}
    for key in server.admin.scan_iter(f"{{{namespace}:*}}:stalls", count=1000):
        for member, score in server.admin.zrange(key, 0, -1, withscores=True):
            found[member.decode()] = int(score)
    return found
