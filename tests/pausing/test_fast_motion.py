"""Two years of incidents lived again as live calls, with windows of 24 hours, in fast motion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Launch
from driven_clock import DrivenClock
from faults import Python
from incidents import REAL, WINDOW_MS, Line, counted, incidents_file, made_up_lines, read_lines

from eventstore import RecordedEvent, SyncEventStore
from pausing.fast_motion import RESTORE, FastMotion
from projections.state import RunState, fold
from replay.importing import Importer

MADE_UP_RUNS = 500
RESTORING = ("run.window_expired", "run.restored")
MARKS = ("expired", "restored_ms")
"""What restoring leaves in a state, besides versions that are later by its events."""

Histories = dict[str, list[RecordedEvent]]


@pytest.mark.timeout(600)
def test_the_incidents_lived_again_end_as_the_imported_ones(
    launch: Launch, shim: Callable[[str], Path], tmp_path: Path
) -> None:
    # given a server whose clock stands at the first incident
    lines, figures = _incidents()
    begins = datetime.fromisoformat(lines[0]["occurred_at"])
    clock = DrivenClock(tmp_path / "clock", begins)
    server = launch(
        "redis7",  # Valkey looks at its clock once in a while only
        preload=shim("drivenclock"),
        environment=clock.environment,
        options={"appendonly": "no"},
    )
    # when all that happened is done again at its time, and a restorer runs beside
    with SyncEventStore.open(server.url, namespace="live", partitions=1) as store:
        motion = FastMotion(store, clock)
        with Python(RESTORE, server.url, "live") as restorer:
            motion.live(lines)
            restorer.tell()
            told = restorer.finish()
        live = _histories(store)
    # then as many are restored after their window, or resumed inside it, as there were
    restored = sum(context.restored for context in motion.resumes)
    all_resumes = figures.events_by_type["run.resumed"]
    assert (restored, len(motion.resumes)) == (figures.late_resumes, all_resumes)
    expired = figures.late_resumes + len(figures.still_paused)
    assert {f"('due', {expired})", f"('parked', {expired})", "('errors', 0)"} <= set(told)
    # and each run is where the imported one is, with the restoring on top
    imported = _imported(server.url, lines, tmp_path)
    assert live.keys() == imported.keys()
    for run_id, events in live.items():
        _compare(events, imported[run_id])


def _incidents() -> tuple[list[Line], Any]:
    path = incidents_file()
    if path is None:
        lines = made_up_lines(MADE_UP_RUNS)
        return lines, counted(lines)
    lines = list(read_lines(path))
    figures = counted(lines)
    assert figures == REAL
    assert (figures.late_resumes, figures.events_by_type["run.resumed"]) == (3_218, 3_218 + 3_434)
    return lines, figures


def _imported(url: str, lines: list[Line], folder: Path) -> Histories:
    path = folder / "incidents.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    with SyncEventStore.open(url, namespace="imported", partitions=1) as store:
        assert Importer(store).run(path).written == len(lines)
        return _histories(store)


def _histories(store: SyncEventStore) -> Histories:
    histories: Histories = defaultdict(list)
    for event in store.read_all():
        histories[event.run_id].append(event)
    return histories


def _compare(live: list[RecordedEvent], imported: list[RecordedEvent]) -> None:
    """Check that a run was lived as it was imported: each event, its time, and the final state."""
    restoring = [event for event in live if event.type in RESTORING]
    lived = [event for event in live if event.type not in RESTORING]
    assert [(e.type, e.occurred_at) for e in lived] == [(e.type, e.occurred_at) for e in imported]
    begun_ms = {e.data["pause_id"]: e.position.ms for e in live if e.type == "run.paused"}
    for expired in live:
        if expired.type == "run.window_expired":
            assert expired.position.ms - begun_ms[expired.data["pause_id"]] == WINDOW_MS
    state, expected = fold(live), fold(imported)
    assert state.version == expected.version + len(restoring)
    if live[-1].type in RESTORING:
        state.updated_ms = expected.updated_ms
    assert _unmarked(state) == _unmarked(expected)


def _unmarked(state: RunState) -> Any:
    """Give all that a state says but for the marks of restoring, however deep."""
    return _without_marks(asdict(state))


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_marks(each) for name, each in value.items() if not _is_mark(name)}
    return [_without_marks(each) for each in value] if isinstance(value, list) else value


def _is_mark(name: str) -> bool:
    return name in MARKS or name.endswith("version")
