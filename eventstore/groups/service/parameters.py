"""What a service's handler asks for, read from its annotations once, when it is declared."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from eventstore.errors import InvalidArgument
from eventstore.events import PAYLOADS, RecordedEvent
from eventstore.events.payloads import Payload
from eventstore.groups.handling.delivery import Delivery
from eventstore.store import EventStore

Model = type[BaseModel]


class Part(Enum):
    """What can be passed to a handler."""

    EVENT = "RecordedEvent"
    PAYLOAD = "a pydantic model"
    DELIVERY = "Delivery"
    STORE = "EventStore"


_BY_CLASS = {RecordedEvent: Part.EVENT, Delivery: Part.DELIVERY, EventStore: Part.STORE}
_ASKS = ", ".join(part.value for part in Part)
_EMPTY = inspect.Parameter.empty


class Parameters:
    """The parameters of one handler: which of them gets what.

    Each is named by its annotation: ``RecordedEvent`` (required), a pydantic model for the data,
    ``Delivery``, ``EventStore``. Others must have defaults, which they keep. Raises
    ``InvalidArgument`` for a handler that nothing could be passed to.
    """

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler
        self.models: tuple[Model, ...] = ()
        """The models that the payload may have; none where the handler wants no payload."""
        self._names: dict[Part, str] = {}
        self._by_place: list[Part] = []
        self._by_name: list[tuple[str, Part]] = []
        hints = _hints(handler)
        for parameter in inspect.signature(handler).parameters.values():
            self._take(parameter, hints.get(parameter.name, _EMPTY))
        if Part.EVENT not in self._names:
            raise self._refused("takes no event; annotate one parameter with RecordedEvent")

    def _take(self, parameter: inspect.Parameter, annotation: Any) -> None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return
        models = _models(annotation)
        part = Part.PAYLOAD if models else _part_of(annotation)
        if part is None:
            if parameter.default is _EMPTY:
                raise self._refused(f"{parameter.name!r} must be annotated with one of: {_ASKS}")
            return
        if part in self._names:
            both = f"{self._names[part]!r} and {parameter.name!r}"
            raise self._refused(f"{both} both ask for {part.value}; leave one out")
        self._names[part] = parameter.name
        self.models = models or self.models
        if parameter.kind is parameter.POSITIONAL_ONLY:
            self._by_place.append(part)
        else:
            self._by_name.append((parameter.name, part))

    def models_of(self, event_types: frozenset[str] | None) -> dict[str, Model]:
        """Give the model of each type's payload. Raises ``InvalidArgument`` where none is it."""
        if not self.models:
            return {}
        if event_types is None:
            raise self._refused("takes a payload, whose model needs named types")
        return {event_type: self._model_of(event_type) for event_type in event_types}

    def _model_of(self, event_type: str) -> Model:
        built_in = PAYLOADS.get(event_type)
        if built_in and issubclass(built_in, self.models):
            return built_in
        own = [model for model in self.models if not _is_built_in(model)]
        if len(own) == 1:
            return own[0]
        named = " | ".join(model.__name__ for model in self.models)
        hint = f"it is {built_in.__name__}" if built_in else "give it one model of your own"
        raise self._refused(f"{named} is not the payload of {event_type}: {hint}")

    def arguments(self, values: Mapping[Part, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Give the positional and the named arguments of one call."""
        return (
            [values[part] for part in self._by_place],
            {name: values[part] for name, part in self._by_name},
        )

    def _refused(self, why: str) -> InvalidArgument:
        return InvalidArgument(f"the handler {name_of(self.handler)}: {why}")


def name_of(handler: Callable[..., Any]) -> str:
    """Give the name that a person knows a handler by."""
    return getattr(handler, "__qualname__", None) or repr(handler)


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    while isinstance(handler, functools.partial):
        handler = handler.func
    function = handler if inspect.isroutine(handler) else type(handler).__call__
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError) as error:
        raise InvalidArgument(
            f"the annotations of handler {name_of(handler)} cannot be read ({error}); what they "
            "name must be importable at run time, not under TYPE_CHECKING or inside a function"
        ) from error


def _part_of(annotation: Any) -> Part | None:
    return _BY_CLASS.get(annotation) if isinstance(annotation, type) else None


def _models(annotation: Any) -> tuple[Model, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    chosen = typing.get_args(annotation) if is_union else (annotation,)
    if all(isinstance(each, type) and issubclass(each, BaseModel) for each in chosen):
        return chosen
    return ()


def _is_built_in(model: Model) -> bool:
    return model is Payload or model in PAYLOADS.values()
