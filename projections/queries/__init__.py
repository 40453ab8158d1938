"""Questions to the read side. Every page has a bound, every value is a parameter."""

from projections.queries.agents import AgentRun, Agents, Message, Thread
from projections.queries.calls import Call, Calls
from projections.queries.checkpoints import Checkpoint
from projections.queries.page import Page
from projections.queries.pauses import Pause, Pauses
from projections.queries.run import Attempt, DeletedRun, Node, Run, RunDetails, WorkflowVersion
from projections.queries.runs import Runs, Totals
from projections.queries.spans import Span, spans_of
from projections.queries.stats import (
    Activity,
    NodeDurations,
    RunDurations,
    Spread,
    Stats,
    Waits,
)
from projections.queries.timeline import Timeline, TimelineEntry

__all__ = [
    "Activity",
    "AgentRun",
    "Agents",
    "Attempt",
    "Call",
    "Calls",
    "Checkpoint",
    "DeletedRun",
    "Message",
    "Node",
    "NodeDurations",
    "Page",
    "Pause",
    "Pauses",
    "Run",
    "RunDetails",
    "RunDurations",
    "Runs",
    "Span",
    "Spread",
    "Stats",
    "Thread",
    "Timeline",
    "TimelineEntry",
    "Totals",
    "Waits",
    "WorkflowVersion",
    "spans_of",
]
