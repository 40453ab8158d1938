"""The rows of a run's nodes, as the fold has them, and of the attempts before the latest."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.clock import to_ms
from eventstore.events import RecordedEvent
from projections.database import Transaction
from projections.state import NodeState, RunState
from projections.state.transitions import TRANSITIONS

NODE_TYPES = frozenset(kind for kind in TRANSITIONS if kind.startswith("node."))
"""The types that change a node."""

BEGINNINGS = frozenset({"node.queued", "node.started"})
"""The types that end a node's attempt by beginning another."""

_WRITE = """
INSERT OR REPLACE INTO nodes (run_id, node_id, first_version, label, status, attempts,
                              queued_ms, started_ms, ended_ms, output, error,
                              workflow_id, started_version, duration_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_WRITE_ATTEMPT = """
INSERT OR REPLACE INTO node_attempts (run_id, node_id, started_version, attempt, status,
                                      started_ms, ended_ms, error, workflow_id, duration_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class NodeRows:
    """Collects the nodes that a batch touched, and writes each once."""

    def __init__(self) -> None:
        self._touched: dict[tuple[str, str], tuple[NodeState, str | None]] = {}
        self._attempts: list[tuple[Any, ...]] = []

    def leave(self, state: RunState, event: RecordedEvent) -> None:
        """Remember the attempt that an event of ``BEGINNINGS`` is about to end, if any."""
        node = state.nodes.get(event.data["node_id"])
        if node and node.started_version is not None and _applies(state, event):
            self._attempts.append(_attempt(state, node, to_ms(event.occurred_at)))

    def note(self, state: RunState, event: RecordedEvent) -> None:
        """Remember the node that an applied event of ``NODE_TYPES`` changed, if any."""
        node = state.nodes.get(event.data["node_id"])
        if node:  # none, where the event came after the run's end
            self._touched[state.run_id, node.node_id] = (node, state.workflow_id)

    def write(self, tx: Transaction) -> None:
        """Write what was touched, and forget it."""
        tx.executemany(_WRITE, [_row(run, *node) for (run, _), node in self._touched.items()])
        tx.executemany(_WRITE_ATTEMPT, self._attempts)
        self.clear()

    def clear(self) -> None:
        """Forget what was touched."""
        self._touched.clear()
        self._attempts.clear()


def _applies(state: RunState, event: RecordedEvent) -> bool:
    return state.ended_ms is None and event.version == state.version + 1


def _row(run_id: str, node: NodeState, workflow_id: str | None) -> tuple[Any, ...]:
    return (
        run_id,
        node.node_id,
        node.first_version,
        node.label,
        node.status,
        node.attempts,
        node.queued_ms,
        node.started_ms,
        node.ended_ms,
        _json(node.output),
        _json(node.error),
        workflow_id,
        node.started_version,
        node.duration_ms,
    )


def _attempt(state: RunState, node: NodeState, until_ms: int) -> tuple[Any, ...]:
    over = node.ended_ms is not None
    return (
        state.run_id,
        node.node_id,
        node.started_version,
        node.attempts,
        node.status if over else "restarted",
        node.started_ms,
        node.ended_ms if over else until_ms,
        _json(node.error),
        state.workflow_id,
        node.duration_ms,
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
