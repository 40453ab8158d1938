"""What the caller of an append believes about the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventstore.errors import InvalidArgument

MAX_VERSION = 2**53 - 1
"""The greatest number that the append script can count with."""


@dataclass(frozen=True, slots=True)
class ExpectedVersion:
    """A condition on the run's version. ``wire`` is how the append script reads it."""

    wire: str

    @classmethod
    def of(cls, value: Any) -> ExpectedVersion:
        """Take ``ANY``, ``NO_RUN``, ``RUN_EXISTS`` or the exact version (0 means no run).

        Raises ``InvalidArgument`` for anything else.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_VERSION:
            return cls(str(value)) if value else NO_RUN
        raise InvalidArgument(
            f"expected must be ANY, NO_RUN, RUN_EXISTS or a version from 0 up, not {value!r}",
            expected=value,
        )

    @property
    def value(self) -> str | int:
        """How to show it: a number, or the name of the condition."""
        return int(self.wire) if self.wire.isdigit() else self.wire

    def holds(self, actual: int) -> bool:
        """Say whether a run at version ``actual`` (0: none) is as expected."""
        conditions = {"any": True, "none": actual == 0, "exists": actual > 0}
        return conditions.get(self.wire, self.wire == str(actual))

    def __repr__(self) -> str:
        return {"any": "ANY", "none": "NO_RUN", "exists": "RUN_EXISTS"}.get(self.wire, self.wire)


ANY = ExpectedVersion("any")
"""Append whatever the version is."""
NO_RUN = ExpectedVersion("none")
"""Append only if the run does not exist yet."""
RUN_EXISTS = ExpectedVersion("exists")
"""Append only if the run exists."""
