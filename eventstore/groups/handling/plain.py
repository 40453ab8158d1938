"""Plain functions as handlers: each call runs in a thread, which nobody can cut short."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any


class Overrun(asyncio.CancelledError):
    """Whoever waited for a thread was cancelled; the thread goes on alone."""


async def call_in_thread(
    threads: Executor | None, function: Callable[..., object], *args: Any
) -> None:
    """Call a plain function in a thread, in the caller's context, and await what it gives.

    Raises what the function raises, and ``Overrun``.
    """
    context, loop = contextvars.copy_context(), asyncio.get_running_loop()
    try:
        result = await loop.run_in_executor(threads, context.run, _call, function, *args)
    except asyncio.CancelledError as error:
        raise Overrun from error
    if inspect.isawaitable(result):
        await result


def _call(function: Callable[..., object], *args: Any) -> object:
    try:
        return function(*args)
    except (StopIteration, SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
        # A future cannot carry these, or not without ending more than the call.
        raise RuntimeError(f"the handler raised {type(error).__name__}") from error
