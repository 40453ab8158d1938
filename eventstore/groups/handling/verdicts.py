"""What a handler may raise to say what is to become of an event."""

from __future__ import annotations

from datetime import timedelta

from eventstore.errors import InvalidArgument


class Verdict(Exception):
    """A handler's decision about the event it was given."""


class Retry(Verdict):
    """Give the event again after ``after`` (a timedelta or seconds); it counts as a delivery.

    Without a time the group's back-off decides. After ``max_deliveries`` the run is parked.
    """

    def __init__(self, after: timedelta | float | None = None, reason: str = "") -> None:
        super().__init__(reason or "the handler asked for it again")
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not 0 <= seconds <= MAX_RETRY_S:
            raise InvalidArgument(f"Retry takes from 0 to {MAX_RETRY_S:,} seconds, not {after!r}")
        self.after_s = seconds


class Park(Verdict):
    """Set the event, and with it its run, aside for this group at once."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the handler parked it")


class Skip(Verdict):
    """Count the event as handled, and note why nothing was done."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the handler skipped it")


MAX_RETRY_S = 86_400
"""The longest time that ``Retry`` may ask for: a day. To wait longer, pause the run."""
