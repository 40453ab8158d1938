"""The rows of what a run can go on from."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.events import RecordedEvent
from projections.database import Transaction
from projections.state import RunState

_WRITE = """
INSERT INTO checkpoints (run_id, version, pause_id, occurred_ms, resume_at, state)
VALUES (?, ?, ?, ?, ?, ?)
"""


class CheckpointRows:
    """Collects the checkpoints of a batch."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def note(self, state: RunState, event: RecordedEvent) -> None:
        """Remember the checkpoint that an applied event made, if any."""
        if state.checkpoint_version == event.version:
            self._rows.append(
                (
                    state.run_id,
                    event.version,
                    event.data.get("pause_id") if event.type == "run.paused" else None,
                    state.updated_ms,
                    orjson.dumps(state.resume_at).decode(),
                    orjson.dumps(state.state).decode(),
                )
            )

    def write(self, tx: Transaction) -> None:
        """Write the collected rows, and forget them."""
        tx.executemany(_WRITE, self._rows)
        self.clear()

    def clear(self) -> None:
        """Forget the collected rows."""
        self._rows.clear()
