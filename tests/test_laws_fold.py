"""Law 2: folding in parts is folding at once, applying twice is applying once, live is rebuilt."""

from __future__ import annotations

import tempfile
from pathlib import Path

from histories import dump, histories, logs, project, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.events import NewEvent, RecordedEvent
from projections import RunProjection, RunState, TimelineProjection, fold


@given(histories(), st.data())
def test_folding_a_prefix_and_then_the_rest_is_folding_all(
    new_events: list[NewEvent], data: st.DataObject
) -> None:
    events = record("run", new_events)
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


@given(histories(), st.data())
def test_applying_twice_is_applying_once(new_events: list[NewEvent], data: st.DataObject) -> None:
    events = record("run", new_events)
    start = data.draw(st.integers(0, len(events)))
    end = data.draw(st.integers(start, len(events)))
    assert fold(events[:end] + events[start:]) == fold(events)


@given(histories())
def test_a_state_survives_json_at_every_step(new_events: list[NewEvent]) -> None:
    straight, through_json = RunState(), RunState()
    for event in record("run", new_events):
        straight.apply(event)
        through_json = RunState.from_json(through_json.to_json())
        through_json.apply(event)
        assert through_json == straight
        assert through_json.to_json() == straight.to_json()


@given(histories())
def test_a_run_is_paused_exactly_while_a_pause_is_open(new_events: list[NewEvent]) -> None:
    state = RunState()
    for event in record("run", new_events):
        state.apply(event)
        assert (state.status == "paused") == bool(state.pauses)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.data_too_large])
@given(logs(), st.data())
def test_live_rows_are_rebuilt_rows_whatever_the_batches_the_cache_and_the_stops(
    log: list[RecordedEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    batch_events = data.draw(st.integers(1, 12))
    cache_bytes = data.draw(st.sampled_from([1, 3_000, 10**6]))
    small = [RunProjection(cache_bytes=cache_bytes), TimelineProjection]
    with tempfile.TemporaryDirectory() as folder:
        live, rebuilt = Path(folder, "live.db"), Path(folder, "rebuilt.db")
        project(live, log[:cut], small, batch_events=batch_events)
        project(live, log, small, batch_events=batch_events)
        project(rebuilt, log)
        assert dump(live) == dump(rebuilt)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.data_too_large])
@given(logs())
def test_a_projection_that_comes_later_catches_up_and_nothing_counts_twice(
    log: list[RecordedEvent],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live, rebuilt = Path(folder, "live.db"), Path(folder, "rebuilt.db")
        project(live, log[: len(log) // 2], [TimelineProjection])
        project(live, log, batch_events=3)
        project(rebuilt, log)
        assert dump(live) == dump(rebuilt)
