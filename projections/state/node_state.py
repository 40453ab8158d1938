"""One node of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

NodeStatus = Literal["queued", "running", "completed", "failed", "retrying", "skipped"]


@dataclass(slots=True)
class NodeState:
    """Where a node stands. Times, output and error are those of its latest attempt.

    ``first_version`` is the version of the event that first named the node: nodes sort by it.
    ``started_version`` is that of the event which began the latest attempt. Times are
    milliseconds since 1970.
    """

    node_id: str
    first_version: int
    label: str | None = None
    status: NodeStatus = "queued"
    attempts: int = 0
    queued_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    started_version: int | None = None

    @property
    def duration_ms(self) -> int | None:
        """How long the latest attempt took, where it was completed."""
        if self.status != "completed" or self.started_ms is None or self.ended_ms is None:
            return None
        return max(0, self.ended_ms - self.started_ms)  # the clocks of two producers may disagree

    def begin(self, status: NodeStatus) -> None:
        """Enter a new attempt, without what the one before left behind."""
        self.status = status
        self.started_version = self.started_ms = self.ended_ms = self.output = self.error = None

    def end(self, status: NodeStatus, at_ms: int) -> None:
        """Leave the current attempt."""
        self.status = status
        self.ended_ms = at_ms
