"""Pauses of the past set timers only where they are still open."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from eventstore import ImportFailed, SyncEventStore
from importing.ground import DAY_MS, Line, imported, line, paused, resumed, timers, types

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)


FAILED = line("run.failed", minute=2, data={"error": {"type": "E", "message": "m"}})
EXPIRED = line("run.window_expired", minute=2, data={"pause_id": "p"})


def test_a_pause_that_a_later_line_ends_sets_no_timer(sync_store: SyncEventStore) -> None:
    imported(
        sync_store,
        *(paused(run) for run in "abcd"),
        resumed("a"),
        FAILED | {"run_id": "b"},
        EXPIRED | {"run_id": "c"},
        batch_events=1,
    )

    assert timers(sync_store) == {("d", "p"): _ms(1) + DAY_MS}


def _ms(minute: int) -> int:
    return int(datetime(2012, 5, 1, 10, minute, tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize("end", [resumed(), FAILED, EXPIRED, paused(window_ms=None)])
def test_no_timer_is_there_while_the_end_of_a_pause_is_still_to_come(
    sync_store: SyncEventStore, end: Line
) -> None:
    with pytest.raises(ImportFailed, match="line 2"):
        imported(sync_store, paused(), "broken", end)
    assert types(sync_store) == ["run.paused"]
    assert timers(sync_store) == {}

    imported(sync_store, paused(), end)

    assert types(sync_store) == ["run.paused", end["type"]]
    assert timers(sync_store) == {}


def test_a_resume_that_is_left_out_leaves_the_timer(sync_store: SyncEventStore) -> None:
    broken = resumed() | {"colour": 1}

    imported(sync_store, paused(), broken, paused("s"), resumed("s"), skip_bad=True)

    assert timers(sync_store) == {("r", "p"): _ms(1) + DAY_MS}


def test_each_pause_of_a_run_is_looked_at_by_its_own_id(sync_store: SyncEventStore) -> None:
    imported(
        sync_store,
        paused(pause_id="a"),
        paused(pause_id="b", minute=2),
        resumed(pause_id="a", minute=3),
        paused(pause_id="a", minute=4, window_ms=5),
        paused(pause_id="endless", window_ms=None),
    )

    assert timers(sync_store) == {("r", "a"): _ms(4) + 5, ("r", "b"): _ms(2) + DAY_MS}


def test_a_resume_written_with_escapes_is_seen(sync_store: SyncEventStore) -> None:
    escaped = json.dumps(resumed()).replace("run.resumed", "\\u0072\\u0075n.resumed")

    with pytest.raises(ImportFailed):
        imported(sync_store, paused(), "broken", escaped)

    assert timers(sync_store) == {}


def test_a_pause_that_was_open_at_the_end_is_cleared_by_a_later_file(
    sync_store: SyncEventStore,
) -> None:
    imported(sync_store, paused())
    assert timers(sync_store)

    imported(sync_store, paused(), resumed())

    assert timers(sync_store) == {}
