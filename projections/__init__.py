"""The read side: projections of the log in SQLite, and the questions one can ask them.

with open_database("runs.db") as database, Projector(store, database) as projector:
    projector.run_to_end()
    print(Runs(database).counts_by_status())
"""

from projections.agents import AgentProjection
from projections.built_in import BUILT_IN
from projections.comparing import Difference
from projections.database import Database, Transaction, open_database
from projections.failures import Failure
from projections.projection import Projection
from projections.projector import Projector
from projections.queries import (
    Activity,
    AgentRun,
    Agents,
    Attempt,
    Call,
    Calls,
    Checkpoint,
    DeletedRun,
    Message,
    Node,
    NodeDurations,
    Page,
    Pause,
    Pauses,
    Run,
    RunDetails,
    RunDurations,
    Runs,
    Span,
    Spread,
    Stats,
    Thread,
    Timeline,
    TimelineEntry,
    Totals,
    Waits,
    WorkflowVersion,
    spans_of,
)
from projections.rebuilding import RebuildProgress, Rebuilt, rebuild
from projections.run_rebuilding import rebuild_run
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
from projections.verifying import Verified, verify, verify_sample
from projections.waiting import wait_for

__all__ = [
    "BUILT_IN",
    "Activity",
    "AgentProjection",
    "AgentRun",
    "Agents",
    "Attempt",
    "Call",
    "CallState",
    "Calls",
    "Checkpoint",
    "Database",
    "DeletedRun",
    "Difference",
    "Failure",
    "Message",
    "Node",
    "NodeDurations",
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
    "RunDurations",
    "RunProjection",
    "RunState",
    "Runs",
    "SignalState",
    "Span",
    "Spread",
    "Stats",
    "Thread",
    "Timeline",
    "TimelineEntry",
    "TimelineProjection",
    "Totals",
    "Transaction",
    "Verified",
    "Waits",
    "WorkflowVersion",
    "fold",
    "open_database",
    "pause",
    "projection_status",
    "projector_status",
    "rebuild",
    "rebuild_run",
    "resume",
    "spans_of",
    "verify",
    "verify_sample",
    "wait_for",
]
