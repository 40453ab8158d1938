"""An event as the store recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from eventstore.errors import InvalidEvent
from eventstore.events.position import Position
from eventstore.open_twin import open_twin

Model = TypeVar("Model", bound=BaseModel)
_ModelClass = type[Model]  # the field `type` hides the built-in name inside the class


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One fact about a run, with its version in the run and its position in the log.

    ``recorded_at`` is the server's time; ``occurred_at`` the producer's, or the same where the
    producer gave none. Treat ``data`` and ``meta`` as read-only.
    """

    id: str
    type: str
    run_id: str
    version: int
    workflow_id: str | None
    data: dict[str, Any]
    meta: dict[str, Any]
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    position: Position

    def payload(self, model: _ModelClass[Model]) -> Model:
        """Give ``data`` as a pydantic model. Raises ``InvalidEvent`` if it does not fit."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            raise InvalidEvent(
                f"{self.type} at version {self.version} of run {self.run_id!r} does not fit "
                f"{model.__name__}: {error.error_count()} fields differ",
                type=self.type,
                run_id=self.run_id,
                version=self.version,
            ) from error


OpenEvent = open_twin(RecordedEvent)
"""What the readers' hot path fills."""
