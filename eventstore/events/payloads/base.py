"""What the models of event data share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from eventstore.events.conditions import without_controls
from eventstore.events.identifiers import MAX_NAME_BYTES
from eventstore.events.stored_values import Digest

MAX_WINDOW_MS = 100 * 366 * 24 * 3_600_000
"""A pause window is at most a century."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_BYTES)]
SignalType = Annotated[Name, AfterValidator(without_controls)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_WINDOW_MS)]
JsonObject = dict[str, Any]
Stored = dict[str, Digest]
"""The keys of a state whose values were stored before, each with the digest of its value."""


class Payload(BaseModel):
    """The base of all typed event data."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class ErrorInfo(Payload):
    """What went wrong, as an event tells it."""

    type: str
    message: str
    stack: str | None = None
