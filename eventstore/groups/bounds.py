"""How much a member of a group takes on, how often it tries, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass, fields

from eventstore.checks import check_count

DEFAULT_MAX_DELIVERIES = 5
DEFAULT_CONCURRENCY = 16
DEFAULT_BATCH_EVENTS = 1_600
DEFAULT_MAX_IN_HAND_EVENTS = 10_000
DEFAULT_MAX_UNACKNOWLEDGED_EVENTS = 100_000
DEFAULT_MAX_LANE_EVENTS = 1_000
DEFAULT_LEASE_MS = 10_000
DEFAULT_DRAIN_MS = 10_000
_LEAST = {"lease_ms": 100, "drain_ms": 0}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one member; ``ConsumerGroup`` tells what each is for.

    Raises ``InvalidArgument`` for values that make no sense.
    """

    max_deliveries: int
    concurrency: int
    batch_events: int
    max_in_hand_events: int
    max_unacknowledged_events: int
    max_lane_events: int
    lease_ms: int
    drain_ms: int

    def __post_init__(self) -> None:
        for field in fields(self):
            check_count(field.name, getattr(self, field.name), least=_LEAST.get(field.name, 1))
