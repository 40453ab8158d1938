"""The events that are measured: an agent's node that completes, some 340 bytes encoded."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from eventstore import NewEvent

STARTED_AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
ANSWER = "The invoice was found, its sum agrees with the order."

_numbers = count(1)


def event(number: int) -> NewEvent:
    """Build one event."""
    return NewEvent(
        "node.completed",
        {
            "node_id": f"step-{number % 7}",
            "attempt": 1,
            "output": {"answer": ANSWER, "score": number / 8, "tokens": [number, 2 * number]},
            "duration_ms": 17,
        },
        workflow_id="invoice-check",
        occurred_at=STARTED_AT,
        meta={"actor": "worker-3"},
    )


def events(count_: int) -> list[NewEvent]:
    """Build events."""
    return [event(number) for number in range(count_)]


def run_ids(count_: int) -> list[str]:
    """Give ids of new runs."""
    return [f"run-{next(_numbers):012d}" for _ in range(count_)]
