"""The projections that come with the run store."""

from __future__ import annotations

from projections.agents import AgentProjection
from projections.projection import Projection
from projections.runs import RunProjection
from projections.timelines import TimelineProjection

BUILT_IN: tuple[type[Projection], ...] = (
    RunProjection,
    TimelineProjection,
    AgentProjection,
)
"""What ``Runs``, ``Timeline``, ``Pauses``, ``Agents`` and the other queries read."""
