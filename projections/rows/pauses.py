"""The rows of pauses: open, expired, resumed, or ended with their run."""

from __future__ import annotations

from typing import Any

from eventstore.events import ENDS, RecordedEvent
from projections.database import Transaction
from projections.state import PauseOutcome, PauseState, RunState
from projections.state.transitions import waited_ms

PAUSE_TYPES = ENDS | {
    "run.paused",
    "run.window_extended",
    "run.window_expired",
    "run.restored",
    "run.resumed",
}
"""The types that can change a pause."""

RUN_ENDED = "run_ended"
REPLACED = "replaced"
"""The cause where a run paused again under the id of a pause that was still open."""

_NOT_RESUMED = (RUN_ENDED, REPLACED)
_WRITE = """
INSERT OR REPLACE INTO pauses (
    run_id, version, pause_id, workflow_id, node_id, reason, status, on_expiry, paused_ms,
    window_ms, expires_ms, restored_ms, resumed_ms, ended_ms, waited_ms, cause, actor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class PauseRows:
    """Collects the pauses that a batch touched, and writes each once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], tuple[Any, ...]] = {}

    def note(self, state: RunState, event: RecordedEvent, before: tuple[PauseState, ...]) -> None:
        """Remember the pauses that were open before an applied event, and those that are now."""
        for pause in before:
            if state.pauses.get(pause.pause_id) is not pause:
                outcome = state.outcomes.get(pause.pause_id) or _replaced(state, event)
                self._keep(state, pause, outcome)
        for pause in state.pauses.values():
            self._keep(state, pause, None)

    def write(self, tx: Transaction) -> None:
        """Write what was touched, and forget it."""
        tx.executemany(_WRITE, self._rows.values())
        self.clear()

    def clear(self) -> None:
        """Forget what was touched."""
        self._rows.clear()

    def _keep(self, state: RunState, pause: PauseState, outcome: PauseOutcome | None) -> None:
        self._rows[state.run_id, pause.version] = (
            state.run_id,
            pause.version,
            pause.pause_id,
            state.workflow_id,
            pause.node_id,
            pause.reason,
            _status(pause, outcome),
            pause.on_expiry,
            pause.paused_ms,
            pause.window_ms,
            pause.expires_ms,
            pause.restored_ms,
            *_ending(pause, outcome),
        )


def _status(pause: PauseState, outcome: PauseOutcome | None) -> str:
    if outcome is None:
        return "expired" if pause.expired else "open"
    return "ended" if outcome.cause in _NOT_RESUMED else "resumed"


def _ending(pause: PauseState, outcome: PauseOutcome | None) -> tuple[Any, ...]:
    """Give resumed_ms, ended_ms, waited_ms, cause and actor."""
    if outcome is None:
        return (None, None, None, None, None)
    if outcome.cause in _NOT_RESUMED:
        return (None, outcome.at_ms, None, outcome.cause, outcome.actor)
    waited = waited_ms(pause, outcome.at_ms)
    return (outcome.at_ms, None, waited, outcome.cause, outcome.actor)


def _replaced(state: RunState, event: RecordedEvent) -> PauseOutcome:
    return PauseOutcome(REPLACED, None, state.updated_ms or 0, event.version)
