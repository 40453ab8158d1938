"""Which signals end which pause. Pure: no store, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.events.conditions import hold
from projections.state import PauseState, RunState, SignalState

Waited = Mapping[str, Any]
"""One entry of ``wait_for``: ``type``, ``conditions``, ``into``."""


@dataclass(frozen=True, slots=True)
class Satisfied:
    """A pause, and the signals that end it, in order of arrival, each with what waited for it."""

    pause: PauseState
    matches: Sequence[tuple[SignalState, Waited]]

    @property
    def signals(self) -> tuple[SignalState, ...]:
        """The signals that are consumed."""
        return tuple(signal for signal, _ in self.matches)

    @property
    def patch(self) -> dict[str, Any]:
        """What the signals put into the state."""
        return {
            waited["into"]: signal.payload for signal, waited in self.matches if waited.get("into")
        }


def satisfied(state: RunState, signals: Sequence[SignalState]) -> Satisfied | None:
    """Give the first open pause, by when it began, that these signals end."""
    for pause in state.pauses.values():
        matches = match(pause, signals)
        if matches:
            return Satisfied(pause, matches)
    return None


def match(
    pause: PauseState, signals: Sequence[SignalState]
) -> list[tuple[SignalState, Waited]] | None:
    """Give the signals that end a pause; None if it goes on waiting.

    ``any``: the earliest that something waits for. ``all``: one for each entry, and each signal
    for one entry only; the earliest that do.
    """
    if pause.wait_mode == "any":
        found = ((s, w) for s in signals for w in pause.wait_for if fits(w, s))
        first = next(found, None)
        return None if first is None else [first]
    places = _places(pause.wait_for, signals)
    if not pause.wait_for or len(places) < len(pause.wait_for):
        return None
    number = {signal.event_id: n for n, signal in enumerate(signals)}
    chosen = [(signal, pause.wait_for[n]) for n, signal in places.items()]
    return sorted(chosen, key=lambda pair: number[pair[0].event_id])


def fits(waited: Waited, signal: SignalState) -> bool:
    """Say whether a signal is one that is waited for."""
    return waited["type"] == signal.type and hold(waited.get("conditions") or (), signal.payload)


def _places(wait_for: Sequence[Waited], signals: Sequence[SignalState]) -> dict[int, SignalState]:
    """Give entries a signal each, as many as can have one, the earliest signals first."""
    places: dict[int, SignalState] = {}
    for signal in signals:
        if len(places) == len(wait_for):
            break
        _place(signal, wait_for, places, set())
    return places


def _place(
    signal: SignalState, wait_for: Sequence[Waited], places: dict[int, SignalState], tried: set[int]
) -> bool:
    """Find an entry for a signal; another signal may have to move to one that fits it too."""
    for number, waited in enumerate(wait_for):
        if number in tried or not fits(waited, signal):
            continue
        tried.add(number)
        if number not in places or _place(places[number], wait_for, places, tried):
            places[number] = signal
            return True
    return False


def is_watching(state: RunState, signal_type: str, payload: Any) -> bool:
    """Say whether a run takes a signal that is for whoever watches for it."""
    waited = [each for pause in state.pauses.values() for each in pause.wait_for]
    waited += [{"type": w.type, "conditions": w.conditions} for w in state.watches.values()]
    return any(
        w["type"] == signal_type and hold(w.get("conditions") or (), payload) for w in waited
    )
