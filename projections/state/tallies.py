"""What a run adds up: how often things happened, and what its calls used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from projections.state.run_state import RunState

COUNTERS = ("calls", "failures", "pauses", "signals", "messages", "logs", "recoveries")
"""What is counted of each run; failures are those of nodes and of calls."""

MAX_USAGE_NAMES = 50
_EXACT = 2**53  # beyond, JSON readers differ about whole numbers


def count(run: RunState, name: str) -> None:
    """Count one more."""
    run.counters[name] = run.counters.get(name, 0) + 1


def add_usage(total: dict[str, int | float], usage: Mapping[str, Any]) -> None:
    """Add the numbers that a call's ``usage`` names, such as ``input_tokens``.

    What is no number is left out, and so are names beyond the first ``MAX_USAGE_NAMES``.
    """
    for name, value in usage.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if name in total or len(total) < MAX_USAGE_NAMES:
            total[name] = _sum(total.get(name, 0), value)


def _sum(total: float, value: float) -> int | float:
    """Add two numbers; the sum can be stored, whatever they were."""
    added = total + value
    if isinstance(added, int) and abs(added) > _EXACT:
        added = float(added)
    return added if math.isfinite(added) else total
