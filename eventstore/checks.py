"""Checks of what callers pass."""

from __future__ import annotations

from eventstore.errors import InvalidArgument


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ``InvalidArgument`` unless the value is a whole number from ``least`` up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgument(f"{name} must be a whole number from {least} up, not {value!r}")
