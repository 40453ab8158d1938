"""Whether something can be a handler: told when the group is made, not once each run is parked."""

from __future__ import annotations

import inspect
from typing import Any

from eventstore.errors import InvalidArgument


def check_handler(handler: Any) -> None:
    """Refuse what cannot be called with an event, or with an event and its ``Delivery``.

    Raises ``InvalidArgument``.
    """
    if not callable(handler):
        raise InvalidArgument(f"a handler is a function of one event, not {handler!r}")
    if is_generator(handler):
        raise InvalidArgument(f"the handler {handler!r} yields; it must return when it is done")
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):  # a built-in that tells nothing of its parameters
        return
    if not any(_takes(signature, count) for count in (1, 2)):
        raise InvalidArgument(
            f"a handler takes the event, or the event and the delivery; {handler!r} takes "
            f"{signature}"
        )


def is_generator(handler: Any) -> bool:
    """Say whether calling it would begin nothing: it yields."""
    return inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler)


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
