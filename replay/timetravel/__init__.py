"""What a run was, and what it would be: its past is read and copied, and never changed."""

from replay.timetravel.differing import Change, differences
from replay.timetravel.forking import Fork
from replay.timetravel.past import At
from replay.timetravel.snapshots import SnapshotFile
from replay.timetravel.travel import SyncTimeTravel, TimeTravel

__all__ = [
    "At",
    "Change",
    "Fork",
    "SnapshotFile",
    "SyncTimeTravel",
    "TimeTravel",
    "differences",
]
