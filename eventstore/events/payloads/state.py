"""What tells of a run's state and its changes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from eventstore.events.payloads.base import JsonObject, Payload, Stored
from eventstore.events.stored_values import Digest, value_digest


class CheckpointSaved(Payload):
    """``checkpoint.saved``: a state from which the run can go on."""

    state: JsonObject
    stored: Stored | None = None
    resume_at: Any = None


class StateStored(Payload):
    """``state.stored``: a value that the states of later events name in ``stored``."""

    digest: Digest
    value: Any

    @model_validator(mode="after")
    def _check_digest(self) -> Self:
        if value_digest(self.value) != self.digest:
            raise ValueError("the digest is not that of the value")
        return self


class RunPatched(Payload):
    """``run.patched``: a change of the running run's state, by the signals that it consumed."""

    patch: JsonObject
    consumed: list[str] | None = None
