"""What a handler may know of how an event came to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """One handing of an event to a handler; passed to handlers that take a second parameter.

    - ``partition``, ``epoch``: the lease under which the member holds the event's partition. The
      epoch rises with every change of owner: pass it on with what you write elsewhere, and let
      that place refuse lower ones, so that a member that was thought dead can do no harm.
    - ``attempt``: 1 for the first delivery; after a crash it may be a later one.
    """

    group: str
    member: str
    partition: int
    epoch: int
    attempt: int
