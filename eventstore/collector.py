"""Python's collector of cycles, kept out of batches that make none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector wait until the block is over; keep the block to one batch.

    It begins whenever some hundred objects were made and not yet let go, as by each page of events,
    and then looks through what lives: a quarter of the processor time of a batch, for nothing,
    since events have no cycles. It waits for all threads of the process.
    """
    was_on = gc.isenabled()
    if was_on:  # only who turned it off turns it on again, whatever other threads do in between
        gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
