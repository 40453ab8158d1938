"""What each event type does to a run's state. To add a type, write its function and list it.

A transition gets the state, the event, and when it occurred in milliseconds since 1970. It may
replace what the state holds and never changes what the event holds. Fields that a payload model
requires are trusted; the others may be missing.
"""

from __future__ import annotations

from projections.state.transitions.base import Transition, actor_of
from projections.state.transitions.nodes import NODES
from projections.state.transitions.pauses import PAUSES, waited_ms
from projections.state.transitions.runs import RUNS
from projections.state.transitions.signals import SIGNALS

TRANSITIONS: dict[str, Transition] = {**RUNS, **PAUSES, **SIGNALS, **NODES}
"""Types that are not listed count and change nothing else."""

__all__ = ["TRANSITIONS", "Transition", "actor_of", "waited_ms"]
