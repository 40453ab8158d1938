"""Replays recorded runs against a workflow, to see whether it still decides as it did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eventstore import InvalidArgument, NewEvent, RecordedEvent
from eventstore.events import STORED
from projections.state import RunState
from projections.state.stored_values import stored_in, whole_state

Expected = NewEvent | tuple[str, dict[str, Any]] | str
"""An event that is to come next: as it would be appended, its type and data, or its type alone."""

Decide = Callable[[RunState, Sequence[RecordedEvent]], Iterable[Expected] | None]
"""Says what a workflow appends next, by a run's state and its events so far; nothing or None
while it waits for others. It must not change either."""

MAX_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first event of a run that is not what the workflow decides.

    ``version`` is that of the recorded event, ``found``, or where the workflow raised. ``expected``
    is None where it decides nothing.
    """

    run_id: str
    version: int
    expected: str | None
    found: str | None
    detail: str

    def __str__(self) -> str:
        return f"version {self.version} of run {self.run_id!r}: {self.detail}"


@dataclass(slots=True)
class Checked:
    """How many runs and events were replayed, and the first divergence of each run that has one.

    ``divergences`` holds the first ones, ``diverged`` counts all.
    """

    runs: int = 0
    events: int = 0
    diverged: int = 0
    divergences: list[Divergence] = field(default_factory=list)

    def add(self, found: Divergence | None, events: int, at_most: int) -> None:
        """Take the outcome of one more run."""
        self.runs += 1
        self.events += events
        if found is not None:
            self.diverged += 1
            if len(self.divergences) < at_most:
                self.divergences.append(found)


@dataclass(frozen=True, slots=True)
class Checker:
    """Replays runs. ``decides`` holds the types of events that only the workflow itself decides.

    An event of such a type must be the next one that is expected. Events of other types are
    facts from outside: they are taken in, and the workflow is asked anew. Without ``decides``,
    whatever comes next must be what is expected, where something is.
    """

    decide: Decide
    decides: frozenset[str] | None = None

    @classmethod
    def of(cls, decide: Decide, decides: Collection[str] | None) -> Checker:
        """Make one. Raises ``InvalidArgument`` for what is no function, or no list of types."""
        if not callable(decide):
            raise InvalidArgument(f"decide must be a function, not {type(decide).__name__}")
        if isinstance(decides, str):
            raise InvalidArgument(f"decides takes a list of types, not the text {decides!r}")
        return cls(decide, None if decides is None else frozenset(decides))

    def first_divergence(self, run_id: str, events: Sequence[RecordedEvent]) -> Divergence | None:
        """Give the first event of a run that differs; None if the workflow decides as it did."""
        state, so_far = RunState(run_id), list[RecordedEvent]()
        for event in events:
            found = (
                None if event.type == STORED else self._judge(state, so_far, _whole(state, event))
            )
            if found is not None:
                return found
            state.apply(event)
            so_far.append(event)
        return None

    def _judge(
        self, state: RunState, so_far: Sequence[RecordedEvent], event: RecordedEvent
    ) -> Divergence | None:
        if self.decides is not None and event.type not in self.decides:
            return None
        expected = self._ask(state, so_far)
        if isinstance(expected, Divergence):
            return expected
        wrong = self._compare(expected, event)
        if wrong is None:
            return None
        told = _told(expected[0]) if expected else None
        return Divergence(state.run_id, event.version, told, _told(event), wrong)

    def _ask(self, state: RunState, so_far: Sequence[RecordedEvent]) -> list[Expected] | Divergence:
        try:
            return list(self.decide(state, so_far) or ())
        except Exception as error:  # noqa: BLE001 - what the workflow raises is what is asked for
            raised = f"{type(error).__name__}: {error}"[:MAX_SHOWN_CHARACTERS]
            detail = f"the workflow raised {raised}"
            return Divergence(state.run_id, state.version + 1, None, None, detail)

    def _compare(self, expected: Sequence[Expected], event: RecordedEvent) -> str | None:
        """Say what is wrong with the next event, if anything is."""
        if not expected:
            if self.decides is None:
                return None
            return f"{event.type} was recorded, and the workflow decides nothing here"
        kind, data = _parts(expected[0])
        if kind != event.type:
            return f"{event.type} was recorded, and the workflow decides {kind}"
        wrong = next(_unlike(data, event.data), None)
        return None if wrong is None else f"{event.type} was recorded with other data: {wrong}"


def _whole(state: RunState, event: RecordedEvent) -> RecordedEvent:
    """Give an event as the workflow decides it: with the values that its state names."""
    if not stored_in(event):
        return event
    return replace(event, data={**event.data, "state": whole_state(state, event)})


def _parts(expected: Expected) -> tuple[str, dict[str, Any]]:
    if isinstance(expected, NewEvent):
        return expected.type, expected.data
    return (expected, {}) if isinstance(expected, str) else expected


def _unlike(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Name what is expected and is not there; what is there besides is the recorder's own."""
    for name, value in expected.items():
        if name not in found:
            yield f"{name} is missing"
        elif found[name] != value or type(found[name]) is not type(value):
            yield f"{name} is {found[name]!r:.100}, decided is {value!r:.100}"


def _told(event: Expected | RecordedEvent) -> str:
    if isinstance(event, RecordedEvent):
        return f"{event.type} {event.data!r}"[:MAX_SHOWN_CHARACTERS]
    kind, data = _parts(event)
    return f"{kind} {data!r}"[:MAX_SHOWN_CHARACTERS] if data else kind
