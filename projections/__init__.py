"""The read side: projections of the log in SQLite, and the questions one can ask them.

with open_database("runs.db") as database, Projector(store, database) as projector:
    projector.run_to_end()
    print(Runs(database).counts_by_status())
"""

from projections.built_in import BUILT_IN
from projections.database import Database, Transaction, open_database
from projections.failures import Failure
from projections.positions import wait_for
from projections.projection import Projection
from projections.projector import Projector
from projections.queries import (
    Checkpoint,
    Node,
    Page,
    Pause,
    Pauses,
    Run,
    RunDetails,
    Runs,
    Span,
    Timeline,
    TimelineEntry,
    Totals,
    spans_of,
)
from projections.rebuilding import RebuildProgress, Rebuilt, rebuild
from projections.runs import RunProjection
from projections.standing import pause, resume
from projections.state import (
    CallState,
    NodeState,
    PauseOutcome,
    PauseState,
    RunState,
    SignalState,
    fold,
)
from projections.status import (
    ProjectionStatus,
    ProjectorStatus,
    projection_status,
    projector_status,
)
from projections.timelines import TimelineProjection

__all__ = [
    "BUILT_IN",
    "CallState",
    "Checkpoint",
    "Database",
    "Failure",
    "Node",
    "NodeState",
    "Page",
    "Pause",
    "PauseOutcome",
    "PauseState",
    "Pauses",
    "Projection",
    "ProjectionStatus",
    "Projector",
    "ProjectorStatus",
    "RebuildProgress",
    "Rebuilt",
    "Run",
    "RunDetails",
    "RunProjection",
    "RunState",
    "Runs",
    "SignalState",
    "Span",
    "Timeline",
    "TimelineEntry",
    "TimelineProjection",
    "Totals",
    "Transaction",
    "fold",
    "open_database",
    "pause",
    "projection_status",
    "projector_status",
    "rebuild",
    "resume",
    "spans_of",
    "wait_for",
]
