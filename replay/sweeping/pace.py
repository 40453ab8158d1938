"""How many runs are dealt with together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventstore.clock import monotonic
from eventstore.timers import DueTimer

MAX_TOGETHER = 128
"""So many runs are read and appended to together, where that and handing them on is quick."""
PART_S = 1.0
"""How long dealing with those that are dealt with together should take at the most."""
LEASED_PARTS = 4
"""A service that goes on leases timers for so many parts."""


class Pace:
    """How many runs are dealt with together: ever more, while that does not take too long.

    So where workers are slow to take runs, no more are recorded than can be handed on soon.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self.runs = least

    @property
    def leased(self) -> int:
        """So many timers are leased at a time by a service that goes on."""
        return LEASED_PARTS * self.runs

    def parts(self, due: Sequence[DueTimer]) -> Iterator[Sequence[DueTimer]]:
        """Cut timers into those that are dealt with together; times how long each part takes."""
        begin = 0
        while begin < len(due):
            part, begun_s = due[begin : begin + self.runs], monotonic()
            yield part
            begin += len(part)
            took_s = monotonic() - begun_s
            if took_s > PART_S:
                self.runs = self._least
            elif len(part) == self.runs and took_s < PART_S / 2:
                self.runs = max(self._least, min(2 * self.runs, MAX_TOGETHER))
