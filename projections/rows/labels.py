"""The rows of runs' labels, by which runs are found."""

from __future__ import annotations

from typing import Any

import orjson

from eventstore.events import RecordedEvent
from projections.database import Transaction
from projections.state import RunState

_DELETE = "DELETE FROM run_labels WHERE run_id = ?"
_WRITE = "INSERT INTO run_labels (run_id, name, value) VALUES (?, ?, ?)"


def label_value(value: Any) -> str:
    """Give a label's value as it is stored and looked for: JSON, so that 1 and "1" differ."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class LabelRows:
    """Collects the runs whose labels a batch set."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, Any]] = {}

    def note(self, state: RunState, event: RecordedEvent) -> None:
        """Remember the labels that an applied event set, if any."""
        if event.type == "run.created":
            self._labels[state.run_id] = state.labels

    def write(self, tx: Transaction) -> None:
        """Write what was remembered, and forget it."""
        tx.executemany(_DELETE, [(run_id,) for run_id in self._labels])
        tx.executemany(
            _WRITE,
            [
                (run_id, name, label_value(value))
                for run_id, labels in self._labels.items()
                for name, value in labels.items()
            ],
        )
        self.clear()

    def clear(self) -> None:
        """Forget what was remembered."""
        self._labels.clear()
