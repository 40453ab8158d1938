"""Bringing runs back: pause and resume, restore after the window, time travel."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.context import RunContext
    from replay.control import RunControl, SyncRunControl
    from replay.decision import Decision, decide
    from replay.pausing import Paused
    from replay.restore_counts import RestoreCounts
    from replay.restorer import Restorer, SyncRestorer
    from replay.timetravel import Change, Fork, SnapshotFile, SyncTimeTravel, TimeTravel

_HOMES = {
    "Change": "timetravel",
    "Decision": "decision",
    "Fork": "timetravel",
    "Paused": "pausing",
    "RestoreCounts": "restore_counts",
    "Restorer": "restorer",
    "RunContext": "context",
    "RunControl": "control",
    "SnapshotFile": "timetravel",
    "SyncRestorer": "restorer",
    "SyncRunControl": "control",
    "SyncTimeTravel": "timetravel",
    "TimeTravel": "timetravel",
    "decide": "decision",
}

__all__ = [
    "Change",
    "Decision",
    "Fork",
    "Paused",
    "RestoreCounts",
    "Restorer",
    "RunContext",
    "RunControl",
    "SnapshotFile",
    "SyncRestorer",
    "SyncRunControl",
    "SyncTimeTravel",
    "TimeTravel",
    "decide",
]


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: the command line's help must be quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
