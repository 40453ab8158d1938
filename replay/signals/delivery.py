"""What became of a signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventstore import RunStoreError
from replay.context import RunContext
from replay.signals.receiving import Outcome


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a signal did to one run.

    ``resumed``: it ended the pause ``pause_id``, and ``context`` is what the run goes on with;
    ``buffered``: the run keeps it; ``patched``: it is in the state; ``dropped``: the buffer was
    full; ``duplicate``: the run had it before, as the event of that ``version``.
    """

    run_id: str
    outcome: Outcome
    version: int
    event_id: str | None = None
    pause_id: str | None = None
    context: RunContext | None = None


@dataclass(frozen=True, slots=True)
class SignalDelivery:
    """What a signal did, run by run.

    ``refused`` has the errors of the runs that did not get it: deliver it again with the same
    ``source_id``, and only those get it. ``deduplicated`` says that the signal had reached
    everybody before, ``count`` runs then, and that nothing was done now.
    """

    type: str
    source_id: str | None
    runs: tuple[Delivered, ...] = ()
    refused: Mapping[str, RunStoreError] = field(default_factory=dict)
    deduplicated: bool = False
    count: int = 0

    @property
    def resumed(self) -> tuple[RunContext, ...]:
        """The contexts of the runs that go on."""
        return tuple(each.context for each in self.runs if each.context is not None)
