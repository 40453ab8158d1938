"""Time as cells of a terminal line: the scale of a chart, its axis, and lengths in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from eventstore.clock import to_ms
from projections import Span

MIN_TICK_CELLS = 11

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS_MS: tuple[int, ...] = (
    *(digit * 10**power for power in range(3) for digit in (1, 2, 5)),
    *(count * _SECOND_MS for count in (1, 2, 5, 10, 15, 30)),
    *(count * _MINUTE_MS for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR_MS for count in (1, 2, 3, 6, 12)),
    *(digit * 10**power * _DAY_MS for power in range(6) for digit in (1, 2, 5)),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Which cell a moment falls into: ``cells`` of them hold ``length_ms`` from ``start_ms`` on."""

    start_ms: int
    length_ms: int
    cells: int

    @classmethod
    def over(cls, spans: Sequence[Span], cells: int, now: datetime | None = None) -> Scale:
        """Fit the scale to spans; those that go on reach to ``now``, or a tenth beyond all."""
        start_ms = min(to_ms(span.start) for span in spans)
        end_ms = max(to_ms(span.end or span.start) for span in spans)
        if any(span.end is None for span in spans):
            beyond_ms = end_ms + (end_ms - start_ms) // 10
            end_ms = max(end_ms, beyond_ms if now is None else to_ms(now))
        return cls(start_ms, max(1, end_ms - start_ms), cells)

    def reach(self, span: Span) -> tuple[int, int]:
        """Give a span's first cell and the one after its last; it has at least one."""
        first = min(self._cell(to_ms(span.start)), self.cells - 1)
        after = self.cells if span.end is None else self._cell(to_ms(span.end))
        return first, max(after, first + 1)

    def lasted_ms(self, span: Span) -> int:
        """Give a span's length, up to the scale's end if it goes on; 0 where clocks disagree."""
        end_ms = self.start_ms + self.length_ms if span.end is None else to_ms(span.end)
        return max(0, end_ms - to_ms(span.start))

    def axis(self, line: str, tick: str) -> tuple[str, str]:
        """Draw the axis: a line with ticks, and a line with their times since the start."""
        step_ms = self._step_ms()
        drawn, times = [line] * self.cells, [" "] * self.cells
        for at_ms in range(0, self.length_ms + 1, step_ms):
            cell = min(self._cell(self.start_ms + at_ms), self.cells - 1)
            text = _tick(at_ms, step_ms, self.length_ms)
            drawn[cell] = tick
            if cell + len(text) <= self.cells:
                times[cell : cell + len(text)] = text
        return "".join(drawn), "".join(times).rstrip()

    def _cell(self, moment_ms: int) -> int:
        cell = round((moment_ms - self.start_ms) / self.length_ms * self.cells)
        return min(max(cell, 0), self.cells)

    def _step_ms(self) -> int:
        """Give the smallest round step that leaves room for its time."""
        needed_ms = self.length_ms * MIN_TICK_CELLS / self.cells
        return next((step for step in _STEPS_MS if step >= needed_ms), _STEPS_MS[-1])


def _tick(at_ms: int, step_ms: int, length_ms: int) -> str:
    size_ms, unit = next(unit for unit in _UNITS if step_ms % unit[0] == 0)
    if unit == "ms" and length_ms >= _SECOND_MS:
        size_ms, unit = _SECOND_MS, "s"
    return f"{at_ms / size_ms:g} {unit}" if at_ms else "0"


def duration(length_ms: int) -> str:
    """Say a length of time in words: ``412 ms``, ``1.01 s``, ``4 min 05 s``, ``12 d 03 h``."""
    if length_ms < _SECOND_MS:
        return f"{length_ms} ms"
    for (size_ms, unit), (lesser_ms, lesser) in pairwise(_UNITS[:-1]):
        count = round(length_ms / lesser_ms)
        if count * lesser_ms >= size_ms:
            whole, rest = divmod(count, size_ms // lesser_ms)
            return f"{whole} {unit} {rest:02} {lesser}"
    return f"{length_ms / _SECOND_MS:.3g} s"
