"""What must be true of every history in which signals, resumes and deadlines meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eventstore import RecordedEvent
from projections.state import RunState
from replay.signals.matching import match, satisfied


def assert_lawful(events: Sequence[RecordedEvent]) -> RunState:
    """Check a run's history event by event; give the state that it ends with."""
    state, consumed = RunState(), Counter[str]()
    for event in events:
        if event.type == "run.resumed":
            _check_resume(state, event)
        consumed.update(event.data.get("consumed") or ())
        state.apply(event)
    # each signal is consumed at most once, and only one that the run has received
    received = [event.id for event in events if event.type == "signal.received"]
    assert not [event_id for event_id, times in consumed.items() if times > 1]
    assert set(consumed) <= set(received)
    # what was received and not consumed is still kept, in order of arrival
    if state.ended_ms is None:
        assert [s.event_id for s in state.signals] == [i for i in received if i not in consumed]
        # and no pause waits for what is there
        assert satisfied(state, state.signals) is None
    # each source's signal was recorded once
    sources = Counter(
        (event.data["type"], event.data["source_id"])
        for event in events
        if event.type == "signal.received" and "source_id" in event.data
    )
    assert not [source for source, times in sources.items() if times > 1]
    _check_outcomes(events)
    return state


def _check_resume(state: RunState, event: RecordedEvent) -> None:
    """A resume ends an open pause; one by signals takes the earliest of those that fit."""
    pause = state.pauses.get(event.data["pause_id"])
    assert pause is not None, "a pause was ended twice"
    if event.data["cause"] == "signal":
        matches = match(pause, state.signals)
        assert matches is not None
        assert event.data["consumed"] == [signal.event_id for signal, _ in matches]
    else:
        assert "consumed" not in event.data


def _check_outcomes(events: Sequence[RecordedEvent]) -> None:
    """Each pause has one outcome at the most."""
    pauses = [e.data["pause_id"] for e in events if e.type == "run.paused"]
    resumes = [e.data["pause_id"] for e in events if e.type == "run.resumed"]
    assert len(set(pauses)) == len(pauses)
    assert len(set(resumes)) == len(resumes)


def watched_by(state: RunState) -> int:
    """Count the entries that the index must have for a run."""
    if state.ended_ms is not None:
        return 0
    return len(state.watches) + sum(len(pause.wait_for) for pause in state.pauses.values())


def payloads_of(events: Sequence[RecordedEvent]) -> list[Any]:
    """Give the payloads of the signals that a run received."""
    return [event.data["payload"] for event in events if event.type == "signal.received"]
