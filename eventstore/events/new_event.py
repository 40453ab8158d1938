"""An event that somebody wants to append."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Self

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from eventstore.codec import encode_json
from eventstore.errors import InvalidEvent
from eventstore.events.identifiers import name_problem, new_id
from eventstore.events.payloads import PAYLOADS

_TYPE = r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
_MAX_SCHEMA_VERSION = 1_000_000


class NewEvent(BaseModel):
    """One fact about a run, checked and encoded when it is built.

    - ``type``: a dotted name. The built-in types' data must fit their models in ``payloads``.
    - ``data``: a JSON object, or one of those models.
    - ``workflow_id``: what the run is a run of. Events that name none take their run's.
    - ``id``: a UUIDv7 is made if none is given.
    - ``occurred_at``: when it happened, with a time zone. None means: when it is recorded, by
      the server's clock, so that windows and time-outs need no clock of the worker's.
    - ``meta``: ``correlation_id``, ``causation_id``, ``actor``, ``traceparent`` and your own.
    - ``schema_version``: of ``data``; older ones are lifted on read by upcasters.

    Changing ``data`` afterwards changes nothing: what is stored was encoded here.
    Raises ``InvalidEvent`` saying which rule is broken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Annotated[str, StringConstraints(pattern=_TYPE, max_length=200)]
    data: dict[str, Any]
    workflow_id: str | None
    id: str
    occurred_at: AwareDatetime | None
    meta: dict[str, Any]
    schema_version: Annotated[int, Field(ge=1, le=_MAX_SCHEMA_VERSION)]

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's name
        data: dict[str, Any] | BaseModel | None = None,
        *,
        workflow_id: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name
        occurred_at: datetime | None = None,
        meta: dict[str, Any] | None = None,
        schema_version: int = 1,
    ) -> None:
        if isinstance(data, BaseModel):
            data = data.model_dump(mode="json", exclude_unset=True)
        try:
            super().__init__(
                type=type,
                data={} if data is None else data,
                workflow_id=workflow_id,
                id=new_id() if id is None else id,
                occurred_at=occurred_at,
                meta={} if meta is None else meta,
                schema_version=schema_version,
            )
        except ValidationError as error:
            raise InvalidEvent(_first_problem(error), type=type) from None
        _check_names(self)
        _check_payload(self.type, self.data)
        self.encoded  # noqa: B018 - encodes now, which finds what JSON cannot hold

    @cached_property
    def encoded(self) -> bytes:
        """The JSON bytes that are stored."""
        return _encode(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # noqa: ARG002 - pydantic's signature
        """Give a copy with other fields, checked and encoded like any event."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | dict(update or {})))


def _check_names(event: NewEvent) -> None:
    if event.type.startswith("__"):
        raise InvalidEvent("types beginning with __ are reserved", type=event.type)
    problem = name_problem(event.id)
    if problem:
        raise InvalidEvent(f"id {problem}", type=event.type)
    if event.workflow_id is not None and (problem := name_problem(event.workflow_id)):
        raise InvalidEvent(f"workflow_id {problem}", type=event.type)


def _check_payload(event_type: str, data: dict[str, Any]) -> None:
    model = PAYLOADS.get(event_type)
    if model is None:
        return
    try:
        model.__pydantic_validator__.validate_python(data)
    except ValidationError as error:
        raise InvalidEvent(f"{event_type} data.{_first_problem(error)}", type=event_type) from None


def _encode(event: NewEvent) -> bytes:
    envelope: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "data": orjson.Fragment(encode_json(event.data, "data")),
    }
    if event.workflow_id is not None:
        envelope["workflow_id"] = event.workflow_id
    if event.occurred_at is not None:
        envelope["occurred_at"] = event.occurred_at
    if event.meta:
        envelope["meta"] = orjson.Fragment(encode_json(event.meta, "meta"))
    if event.schema_version != 1:
        envelope["schema_version"] = event.schema_version
    return orjson.dumps(envelope)


def _first_problem(error: ValidationError) -> str:
    """Say the first problem without repeating the input, which may be a secret."""
    problem = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
