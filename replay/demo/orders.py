"""The orders of a demo: what is ordered, what happens to it on the way, and how it must end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Literal

from replay.control import OnExpiry

WORKFLOW = "demo-orders"
MAX_ORDERS = 200
PATIENT_WINDOW_S = 60.0
"""The window where somebody answers; long, so that a slow machine changes no ending."""

Answer = Literal["approve", "decline", "late"]
Card = Literal["good", "flaky", "refused"]


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to an order. Without ``on_expiry`` it is small and needs no approval.

    ``answer`` is what the approver does: ``late`` means after the window. ``ends`` is the status
    it must end with, ``cause`` how its pause must end, ``restored`` whether its context must come
    back from the checkpoint.
    """

    title: str
    ends: str
    on_expiry: OnExpiry | None = None
    window_s: float = PATIENT_WINDOW_S
    answer: Answer | None = None
    cause: str | None = None
    restored: bool = False
    card: Card = "good"


STRAIGHT = Story("small, nobody is asked", "completed")
APPROVED = Story("approved in time", "completed", "restore", answer="approve", cause="decision")
DECLINED = Story("declined in time", "aborted", "restore", answer="decline", cause="decision")
RESTORED = Story(
    "nobody answered: restored, went on by itself",
    "completed",
    "restore",
    window_s=1.2,
    cause="window_expired",
    restored=True,
)
LATE = Story(
    "nobody answered: parked; resumed late, its context was back",
    "completed",
    "park",
    window_s=0.8,
    answer="late",
    cause="manual",
    restored=True,
)
PARKED = Story("nobody answered: parked, waits for you", "paused", "park", window_s=1.0)
TIMED_OUT = Story("nobody answered: failed", "failed", "fail", window_s=0.8, cause="run_ended")
DROPPED = Story("nobody answered: aborted", "aborted", "abort", window_s=1.4, cause="run_ended")
FLAKY = Story("card refused once, then taken", "completed", card="flaky")
REFUSED = Story("card refused three times", "failed", card="refused")

STORIES = (
    *(RESTORED, STRAIGHT, LATE, APPROVED, PARKED, FLAKY, TIMED_OUT, DECLINED),
    *(RESTORED, APPROVED, STRAIGHT, REFUSED, RESTORED, DROPPED, STRAIGHT, APPROVED),
)
"""The mixture: the first eight hold one of each kind that matters most."""

ITEMS = ("lamp", "desk", "kettle", "bicycle", "camera", "piano", "telescope", "coffee machine")
SMALL, LARGE = (20, 240), (600, 980)


@dataclass(frozen=True, slots=True)
class Order:
    """One order and its story; ``pace`` stretches or shortens everything that takes time."""

    story: Story
    item: str
    amount: int
    pace: float

    @property
    def input(self) -> dict[str, Any]:
        """What the run is given."""
        window_s = round(self.story.window_s * self.pace, 3)
        policy = {"window_s": window_s, "on_expiry": self.story.on_expiry}
        return {
            "item": self.item,
            "amount": self.amount,
            "card": self.story.card,
            "approval": policy if self.story.on_expiry else None,
            "pace": self.pace,
        }


def make_orders(count: int, seed: int, pace: float) -> Iterator[Order]:
    """Make so many orders; the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a demo, not a secret
    stories = list(islice(cycle(STORIES), count))
    chance.shuffle(stories)
    for story in stories:
        low, high = LARGE if story.on_expiry else SMALL
        yield Order(story, chance.choice(ITEMS), chance.randint(low, high), pace)
