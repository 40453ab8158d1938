"""How late deadlines took their effect: a distribution in little room."""

from __future__ import annotations

from dataclasses import dataclass, field

_STEPS = 8
"""Buckets in each doubling: a quantile is right to about a tenth."""


@dataclass(slots=True)
class Lateness:
    """From deadline to effect, in milliseconds of the server's clock."""

    count: int = 0
    total_ms: int = 0
    max_ms: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def note(self, late_ms: int) -> None:
        """Note one; an effect before its deadline counts as on time."""
        late_ms = max(0, late_ms)
        self.count += 1
        self.total_ms += late_ms
        self.max_ms = max(self.max_ms, late_ms)
        bucket = _bucket(late_ms)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def add(self, other: Lateness) -> None:
        """Take in what another one noted."""
        self.count += other.count
        self.total_ms += other.total_ms
        self.max_ms = max(self.max_ms, other.max_ms)
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def quantile_ms(self, share: float) -> int:
        """Give the lateness that this share of all stay within (0.5 is the median); 0 of none."""
        left = share * self.count
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return min(_upper_ms(bucket), self.max_ms)
        return self.max_ms

    def __str__(self) -> str:
        if not self.count:
            return "nothing late"
        median, p99 = self.quantile_ms(0.5), self.quantile_ms(0.99)
        return f"late by {median:,} ms (median), {p99:,} ms (p99), {self.max_ms:,} ms (at most)"


def _bucket(late_ms: int) -> int:
    """Give the bucket of a value: one each below ``_STEPS``, then so many to a doubling."""
    if late_ms < _STEPS:
        return late_ms
    doublings = late_ms.bit_length() - _STEPS.bit_length()
    return (doublings + 1) * _STEPS + (late_ms >> doublings) - _STEPS


def _upper_ms(bucket: int) -> int:
    """Give the largest value of a bucket."""
    if bucket < _STEPS:
        return bucket
    doublings, step = divmod(bucket - _STEPS, _STEPS)
    return ((step + _STEPS + 1) << doublings) - 1
