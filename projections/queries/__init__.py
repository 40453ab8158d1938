"""Questions to the read side. Every page has a bound, every value is a parameter."""

from projections.queries.page import Page
from projections.queries.pauses import Pause, Pauses
from projections.queries.runs import Run, RunDetails, Runs
from projections.queries.spans import Span
from projections.queries.timeline import Timeline, TimelineEntry

__all__ = [
    "Page",
    "Pause",
    "Pauses",
    "Run",
    "RunDetails",
    "Runs",
    "Span",
    "Timeline",
    "TimelineEntry",
]
