"""What a handler is like: told when the group is made, not once each run is parked."""

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


def is_async(handler: Any) -> bool:
    """Say whether calling this gives something to await."""
    call = getattr(handler, "__call__", None)  # noqa: B004 - an object with an async __call__
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def takes_delivery(handler: Any) -> bool:
    """Say whether a handler has a second parameter that waits for a value, or a ``delivery``."""
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):  # a built-in that tells nothing of its parameters
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:  # noqa: PLR2004 - the event, and the delivery
        return False
    return positional[1].default is inspect.Parameter.empty or positional[1].name == "delivery"


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
