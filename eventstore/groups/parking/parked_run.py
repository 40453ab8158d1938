"""A run that a group has set aside, as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from eventstore.clock import from_ms
from eventstore.events import Position, RecordedEvent
from eventstore.groups.parking.failure import Failure

State = Literal["parked", "redrive"]


@dataclass(frozen=True, slots=True)
class ParkedRun:
    """A run of which one group has set events aside, because one of them failed.

    - ``place``: where it stands among the parked: by the time it was parked last, in ms. As text
      it names this parking, for ``ParkedFilter.up_to``.
    - ``state``: ``parked``, or ``redrive`` when it is to be handled after all and that is not
      done.
    - ``first_version`` to ``last_version``: what is set aside; ``failed_version``, ``position``
      and ``type`` are those of the event that failed.
    """

    place: Position
    run_id: str
    workflow_id: str | None
    state: State
    first_version: int
    last_version: int
    failed_version: int
    position: Position
    type: str
    failure: Failure

    @property
    def parked_at(self) -> datetime:
        """When it was parked last."""
        return from_ms(self.place.ms)


@dataclass(frozen=True, slots=True)
class ParkedPage:
    """Some parked runs, in order. ``next_cursor`` asks for more; None: there are no more."""

    items: list[ParkedRun]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ParkedDetails:
    """A parked run with its traceback and the first of the events that are set aside.

    ``missing`` says why events are not here that should be; None when all is well.
    """

    run: ParkedRun
    events: list[RecordedEvent]
    missing: str | None


def parked_run(partition: int, dead_id: bytes, record: bytes, fields: list[bytes]) -> ParkedRun:
    """Read what the scripts give of a run that is set aside."""
    _, first, last, state, *_ = record.decode().split(" ")
    facts = {
        name: value.decode(errors="replace")
        for name, value in zip(fields[::2], fields[1::2], strict=True)
    }
    return ParkedRun(
        Position.at_entry(partition, dead_id),
        facts[b"r"],
        facts.get(b"w") or None,
        "redrive" if state == "redrive" else "parked",
        int(first),
        int(last),
        int(facts.get(b"v", first)),
        Position.at_entry(partition, facts.get(b"p", "0-0")),
        facts.get(b"t", ""),
        _failure(facts),
    )


def _failure(facts: dict[bytes, Any]) -> Failure:
    """Read it; empty where somebody deleted the entry."""
    texts = [facts.get(name, "") for name in (b"k", b"m", b"b")]
    return Failure(*texts, *(int(facts.get(name, 0)) for name in (b"d", b"f", b"l")))
