"""The rows of a run's nodes, as the fold has them."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.events import RecordedEvent
from projections.database import Transaction
from projections.state import NodeState, RunState
from projections.state.transitions import TRANSITIONS

_TYPES = frozenset(kind for kind in TRANSITIONS if kind.startswith("node."))
_WRITE = """
INSERT OR REPLACE INTO nodes (run_id, node_id, first_version, label, status, attempts,
                              queued_ms, started_ms, ended_ms, output, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class NodeRows:
    """Collects the nodes that a batch touched, and writes each once."""

    def __init__(self) -> None:
        self._touched: dict[tuple[str, str], NodeState] = {}

    def note(self, state: RunState, event: RecordedEvent) -> None:
        """Remember the node that an applied event changed, if any."""
        if event.type in _TYPES:
            node = state.nodes.get(event.data["node_id"])
            if node:  # none, where the event came after the run's end
                self._touched[state.run_id, node.node_id] = node

    def write(self, tx: Transaction) -> None:
        """Write what was touched, and forget it."""
        tx.executemany(_WRITE, [_row(run_id, node) for (run_id, _), node in self._touched.items()])
        self.clear()

    def clear(self) -> None:
        """Forget what was touched."""
        self._touched.clear()


def _row(run_id: str, node: NodeState) -> tuple[Any, ...]:
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
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
