"""The pure fold: what the events of one run add up to. No I/O, no clock."""

from projections.state.node_state import NodeState
from projections.state.open_items import CallState, SignalState, WatchState
from projections.state.pause_state import PauseOutcome, PauseState
from projections.state.run_state import RunState, RunStatus, fold

__all__ = [
    "CallState",
    "NodeState",
    "PauseOutcome",
    "PauseState",
    "RunState",
    "RunStatus",
    "SignalState",
    "WatchState",
    "fold",
]
