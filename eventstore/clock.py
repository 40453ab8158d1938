"""Where time comes from. Pass another clock in tests to move time instead of waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from eventstore.errors import InvalidArgument

Clock = Callable[[], datetime]
"""Gives the current time, with its time zone."""

Monotonic = Callable[[], float]
"""Gives seconds that only go forward; for deadlines, never for dates."""

monotonic: Monotonic = time.monotonic


def awake_or_asleep() -> float:
    """Give seconds that go on while the machine sleeps, where the system can tell: for leases."""
    if _BOOT_CLOCK is None:
        return time.monotonic()
    return time.clock_gettime(_BOOT_CLOCK)


_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> datetime:
    """Give the time of this machine in UTC."""
    return datetime.now(UTC)


def from_ms(ms: int) -> datetime:
    """Turn milliseconds since 1970 into a datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


def to_ms(moment: datetime) -> int:
    """Turn a datetime into whole milliseconds since 1970.

    Raises ``InvalidArgument`` for one without a time zone.
    """
    try:
        return (moment - _EPOCH) // _MILLISECOND
    except TypeError:
        raise InvalidArgument(
            f"{moment!r} is no time with a zone: use datetime.now(UTC), or add +00:00"
        ) from None
