"""The states of the runs that had events lately, bounded by the size of their snapshots."""

from __future__ import annotations

from collections import OrderedDict

from projections.state import RunState


class RunCache:
    """Keeps the states used last, up to ``limit_bytes`` of snapshots as JSON.

    In memory a state takes some three times its snapshot.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._states: OrderedDict[str, RunState] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._total_bytes = 0

    def get(self, run_id: str) -> RunState | None:
        """Give the run's state, if it is kept."""
        return self._states.get(run_id)

    def keep(self, state: RunState, size_bytes: int) -> None:
        """Keep a state as the one used last; others go if there are too many."""
        self.drop(state.run_id)
        self._states[state.run_id] = state
        self._sizes[state.run_id] = size_bytes
        self._total_bytes += size_bytes
        while self._total_bytes > self._limit_bytes:
            self.drop(next(iter(self._states)))

    def drop(self, run_id: str) -> None:
        """Let a run's state go, if it is kept."""
        if self._states.pop(run_id, None):
            self._total_bytes -= self._sizes.pop(run_id)

    def clear(self) -> None:
        """Let all go."""
        self._states.clear()
        self._sizes.clear()
        self._total_bytes = 0
