"""One run in a worker's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from eventstore import EventStore, NewEvent
from projections import RunState
from replay.control import OnExpiry, RunControl

MAX_ATTEMPTS = 3

Patch = dict[str, Any]
"""What a node changes in the run's state."""


class NodeError(Exception):
    """A node did not succeed: its ``kind`` and message go into the history."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.error = {"type": kind, "message": message}


class Execution:
    """Appends what a worker does to a run, always at the exact version that it knows.

    That is the fence: once another worker has taken the run over, the version has moved, and the
    next append raises ``WrongExpectedVersion``. So each step is recorded once, without a lock.
    What a step does outside may happen again when its worker dies before it is recorded.
    """

    def __init__(self, store: EventStore, known: RunState, worker: str) -> None:
        self.run_id = known.run_id
        self.input = known.input
        self.state = known.state
        self.attempt = 0
        self._store = store
        self._known = known
        self._version = known.version
        self._meta = {"actor": worker}

    async def append(self, kind: str, data: dict[str, Any]) -> None:
        """Record what happened."""
        event = NewEvent(kind, data, meta=self._meta)
        result = await self._store.append(self.run_id, event, expected=self._version)
        self._version = result.last_version

    async def node(
        self, node_id: str, label: str, work: Callable[[Execution], Awaitable[Patch]]
    ) -> None:
        """Do a node, unless it is done; a failed attempt is made again. Raises ``NodeError``."""
        known = self._known.nodes.get(node_id)
        if known and known.status == "completed":
            return
        for self.attempt in count(known.attempts + 1 if known else 1):
            named = {"node_id": node_id, "label": label, "attempt": self.attempt}
            await self.append("node.started", named)
            try:
                patch = await work(self)
            except NodeError as problem:
                again = self.attempt < MAX_ATTEMPTS
                failed = {"error": problem.error, "will_retry": again}
                await self.append("node.failed", named | failed)
                if not again:
                    raise
            else:
                await self.append("node.completed", named | {"patch": patch})
                self.state = self.state | patch
                return

    async def call(
        self,
        node_id: str,
        kind: str,
        name: str,
        seconds: float,
        output: Any,
        usage: dict[str, Any] | None = None,
    ) -> None:
        """Pretend to call something outside that answers after ``seconds``."""
        call = {"call_id": f"{node_id}-{name}", "node_id": node_id, "kind": kind, "name": name}
        await self.append("call.started", call)
        await self.take(seconds)
        await self.append("call.completed", call | {"output": output, "usage": usage})

    async def approval(self, window_s: float, on_expiry: OnExpiry) -> bool:
        """Say whether the order may go on; if not it is paused now, with all that it needs."""
        if self._known.outcomes:
            return True
        await RunControl(self._store).pause(
            self.run_id,
            state=self.state,
            resume_at="charge",
            window=window_s,
            on_expiry=on_expiry,
            reason="approval",
            expected=self._version,
            meta=self._meta,
        )
        return False

    async def complete(self, output: Any) -> None:
        """End the run well."""
        await self.append("run.completed", {"output": output})

    async def abort(self, reason: str) -> None:
        """End the run because somebody wants it."""
        await self.append("run.aborted", {"reason": reason})

    async def take(self, seconds: float) -> None:
        """Pretend to work."""
        await asyncio.sleep(seconds * self.input["pace"])
