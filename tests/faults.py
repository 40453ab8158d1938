"""Faults as ordinary objects: lost replies, killed processes, and waiting for what follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_S = 0.005


def eventually(condition: Callable[[], T], within_s: float = 10.0) -> T:
    """Wait until the condition gives something true, and give that; fail after ``within_s``."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        time.sleep(LOOK_EVERY_S)
    return result


async def soon(condition: Callable[[], T], within_s: float = 10.0) -> T:
    """Wait as ``eventually`` does, and let the other tasks go on meanwhile."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s in vain"
        await asyncio.sleep(LOOK_EVERY_S)
    return result
