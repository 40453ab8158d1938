"""Bringing runs back: pause and resume, restore after the window, time travel."""

from replay.context import RunContext
from replay.control import RunControl, SyncRunControl
from replay.decision import Decision, decide
from replay.pausing import Paused
from replay.restorer import RestoreCounts, Restorer, SyncRestorer
from replay.timetravel import SyncTimeTravel, TimeTravel

__all__ = [
    "Decision",
    "Paused",
    "RestoreCounts",
    "Restorer",
    "RunContext",
    "RunControl",
    "SyncRestorer",
    "SyncRunControl",
    "SyncTimeTravel",
    "TimeTravel",
    "decide",
]
