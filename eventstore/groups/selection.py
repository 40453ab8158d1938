"""Which events a group's handler wants to see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from eventstore.errors import InvalidArgument
from eventstore.events import RecordedEvent


@dataclass(frozen=True, slots=True)
class Selection:
    """Events by type and by workflow; None takes all."""

    types: frozenset[str] | None = None
    workflow_ids: frozenset[str] | None = None

    @classmethod
    def of(
        cls, types: str | Collection[str] | None, workflow_ids: str | Collection[str] | None
    ) -> Selection:
        """Make a selection from one name, several, or None. Raises ``InvalidArgument``."""
        return cls(_names("types", types), _names("workflow_ids", workflow_ids))

    def accepts(self, event: RecordedEvent) -> bool:
        """Say whether the handler wants this event."""
        if self.types is not None and event.type not in self.types:
            return False
        return self.workflow_ids is None or event.workflow_id in self.workflow_ids


def _names(what: str, names: str | Collection[str] | None) -> frozenset[str] | None:
    if names is None:
        return None
    chosen = frozenset([names] if isinstance(names, str) else names)
    if not chosen or not all(isinstance(name, str) and name for name in chosen):
        raise InvalidArgument(f"{what} must hold at least one name, or be None for all: {names!r}")
    return chosen
