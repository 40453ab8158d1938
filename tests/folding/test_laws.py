"""Law 2: folding in parts is folding at once, applying twice is applying once, live is rebuilt."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from histories import dump, folded, histories, logs, project, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.clock import from_ms
from eventstore.events import DELETED, STORED, NewEvent, RecordedEvent
from projections import (
    AgentProjection,
    Database,
    Pauses,
    RunProjection,
    Runs,
    RunState,
    Timeline,
    TimelineProjection,
    fold,
    open_database,
)
from projections.queries.pauses import WAITING


@settings(deadline=None)
@given(histories(), st.data())
def test_folding_a_prefix_and_then_the_rest_is_folding_all(
    new_events: list[NewEvent], data: st.DataObject
) -> None:
    events = record("run", new_events)
    cut = data.draw(st.integers(0, len(events)))
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


@settings(deadline=None)
@given(histories(), st.data())
def test_applying_twice_is_applying_once(new_events: list[NewEvent], data: st.DataObject) -> None:
    events = record("run", new_events)
    start = data.draw(st.integers(0, len(events)))
    end = data.draw(st.integers(start, len(events)))
    assert fold(events[:end] + events[start:]) == fold(events)


@settings(deadline=None)
@given(histories())
def test_a_state_survives_json_at_every_step(new_events: list[NewEvent]) -> None:
    assert folded(record("run", new_events)) == fold(record("run", new_events))


@settings(deadline=None)
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
    small = (RunProjection(cache_bytes=cache_bytes), TimelineProjection(), AgentProjection())
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


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.data_too_large])
@given(logs(), st.integers(1, 12))
def test_what_the_queries_tell_is_what_the_fold_tells(
    log: list[RecordedEvent], batch_events: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project(Path(folder, "runs.db"), log, batch_events=batch_events)
        with open_database(Path(folder, "runs.db")) as database:
            for run_id in {event.run_id for event in log}:
                events = [event for event in log if event.run_id == run_id]
                if events[-1].type == DELETED:
                    assert_forgotten(database, run_id, len(events))
                else:
                    assert_told(database, events, fold(events))


def assert_forgotten(database: Database, run_id: str, version: int) -> None:
    for table in (*RunProjection.run_tables, *AgentProjection.run_tables, "timeline"):
        with database.snapshot() as tx:
            (count,) = tx.execute(f"SELECT count(*) FROM {table} WHERE run_id = ?", (run_id,))[0]
        assert count == (table == "deleted_runs"), table
    (deleted,) = Runs(database).deleted_runs(run_id=run_id).items
    assert deleted.version == version


def assert_told(database: Database, events: list[RecordedEvent], state: RunState) -> None:
    runs, pauses = Runs(database), Pauses(database)
    run = runs.get_run(state.run_id)
    assert run.run_state == state
    assert (run.status, run.version, run.state) == (state.status, state.version, state.state)
    assert run.created_at == from_ms(state.created_ms or 0)
    assert {node.node_id: node.attempts for node in runs.nodes(state.run_id)} == {
        node.node_id: node.attempts for node in state.nodes.values()
    }
    rows = pauses.list_pauses(run_id=state.run_id).items
    assert len(rows) == sum(event.type == "run.paused" for event in events)
    assert {row.pause_id for row in rows if row.status in WAITING} == set(state.pauses)
    assert sum(row.waited_seconds or 0 for row in rows) == pytest.approx(run.paused_seconds)
    checkpoint = pauses.checkpoint(state.run_id)
    assert (checkpoint and checkpoint.version) == state.checkpoint_version
    timeline = Timeline(database).timeline(run_id=state.run_id)
    assert [(entry.type, entry.data, entry.meta) for entry in timeline.items] == [
        (event.type, _shown(event), event.meta) for event in events
    ]


def _shown(event: RecordedEvent) -> dict[str, Any]:
    """Give an event's data as the timeline has it: stored values are not copied there."""
    return {"digest": event.data["digest"]} if event.type == STORED else event.data
