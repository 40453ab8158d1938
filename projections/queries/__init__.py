"""Questions to the read side. Every page has a bound, every value is a parameter."""

from projections.queries.page import Page
from projections.queries.pauses import Checkpoint, Pause, Pauses
from projections.queries.run import Node, Run, RunDetails
from projections.queries.runs import Runs, Totals
from projections.queries.spans import Span, spans_of
from projections.queries.timeline import Timeline, TimelineEntry

__all__ = [
    "Checkpoint",
    "Node",
    "Page",
    "Pause",
    "Pauses",
    "Run",
    "RunDetails",
    "Runs",
    "Span",
    "Timeline",
    "TimelineEntry",
    "Totals",
    "spans_of",
]
