"""One handler of a service, and the events it is for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from eventstore.errors import InvalidArgument, InvalidEvent
from eventstore.events import RecordedEvent
from eventstore.groups.handling.delivery import Delivery
from eventstore.groups.handling.handlers import is_async, is_generator
from eventstore.groups.handling.plain import call_in_thread
from eventstore.groups.handling.verdicts import Park
from eventstore.groups.selection import Selection
from eventstore.groups.service.parameters import Parameters, Part, name_of
from eventstore.store import EventStore


class Route:
    """A handler with the selection of events that go to it.

    Raises ``InvalidArgument`` for a handler whose parameters do not fit.
    """

    def __init__(self, selection: Selection, handler: Callable[..., Any]) -> None:
        if not callable(handler):
            raise InvalidArgument(f"a handler is a function of an event, not {handler!r}")
        self.selection = selection
        self.name = name_of(handler)
        self._handler = handler
        self.is_async = is_async(handler)
        if is_generator(handler):
            raise InvalidArgument(f"the handler {self.name} yields; it must return when it is done")
        self._parameters = Parameters(handler)
        self._models = self._parameters.models_of(selection.types)

    def overlaps(self, other: Selection) -> bool:
        """Say whether an event could go to both."""
        mine = self.selection
        return _meet(mine.types, other.types) and _meet(mine.workflow_ids, other.workflow_ids)

    async def handle(
        self,
        event: RecordedEvent,
        delivery: Delivery,
        store: EventStore,
        threads: Executor | None,
    ) -> None:
        """Call the handler; a plain function in one of ``threads``.

        Raises what the handler raises, and ``Park`` for data that do not fit the model.
        """
        values = {Part.EVENT: event, Part.DELIVERY: delivery, Part.STORE: store}
        if self._models:
            values[Part.PAYLOAD] = _payload(event, self._models[event.type])
        by_place, by_name = self._parameters.arguments(values)
        call = partial(self._handler, *by_place, **by_name)
        if self.is_async:
            await call()
        else:
            await call_in_thread(threads, call)


def _payload(event: RecordedEvent, model: type[BaseModel]) -> BaseModel:
    """Give the typed data. What does not fit now never will, so it is not tried again.

    The error is kept with the run without those that led to it: they show the data.
    """
    try:
        return event.payload(model)
    except InvalidEvent as error:
        raise Park(f"{error.reason} ({_differences(error.__cause__)})") from None


def _differences(error: BaseException | None) -> str:
    """Tell what differs, without the values: they may be secret."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'data'}: {each['msg']}" for each in found
    )


def _meet(some: frozenset[str] | None, others: frozenset[str] | None) -> bool:
    return some is None or others is None or not some.isdisjoint(others)
