"""How long a run waits after its handler failed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from eventstore.errors import InvalidArgument

_MOST_DOUBLINGS = 62


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double, up to a bound, each shortened by chance so that retries spread.

    - ``first_ms``: the longest first pause.
    - ``max_ms``: the longest pause of all.
    - ``jitter``: the share of a pause that chance may take away, 0 to 1.

    Raises ``InvalidArgument`` for values that make no sense.
    """

    first_ms: int = 200
    max_ms: int = 60_000
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.first_ms <= self.max_ms:
            raise InvalidArgument(
                f"first_ms must be from 1 to max_ms, not {self.first_ms!r} and {self.max_ms!r}"
            )
        if not 0 <= self.jitter <= 1:
            raise InvalidArgument(f"jitter must be from 0 to 1, not {self.jitter!r}")

    def pause_s(self, failures: int, chance: Callable[[], float] = random.random) -> float:
        """Give the pause in seconds after so many failures, 1 or more."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        longest_ms = min(self.first_ms << doublings, self.max_ms)
        return longest_ms * (1 - self.jitter * chance()) / 1000
