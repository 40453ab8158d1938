"""A long run is folded from the nearest state that is known; a wrong one is never used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive.filing import ask, tamper
from samples import ended
from servers import AnyServer

from eventstore import (
    InvalidArgument,
    LogRegressed,
    NewEvent,
    RunNotFound,
    Settings,
    StoreMismatch,
    SyncEventStore,
)
from projections.state import RunState, fold
from replay import SnapshotFile, SyncTimeTravel
from replay.timetravel import folding

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EVENTS = 95


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a snapshot every ten events."""
    monkeypatch.setattr(folding, "SNAPSHOT_EVENTS", 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshots.db"


@pytest.fixture
def travels(sync_store: SyncEventStore, path: Path) -> Iterator[SyncTimeTravel]:
    """Give the time travel of a store with one run of 95 events, a minute apart."""
    sync_store.append("run", [step(n) for n in range(1, EVENTS + 1)])
    with SnapshotFile(path) as snapshots:
        yield SyncTimeTravel(sync_store, snapshots=snapshots)


def step(n: int) -> NewEvent:
    at = NOON + timedelta(minutes=n)
    return NewEvent("run.patched", {"patch": {str(n % 7): n}}, occurred_at=at)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the events that are folded from now on."""
    versions: list[int] = []
    apply = RunState.apply

    def apply_counted(self: RunState, event: object) -> bool:
        versions.append(event.version)  # type: ignore[attr-defined]
        return apply(self, event)  # type: ignore[arg-type]

    monkeypatch.setattr(RunState, "apply", apply_counted)
    return versions


@pytest.mark.parametrize("page_events", [1, 7, 500])
def test_every_version_is_the_same_with_snapshots_and_without(
    server: AnyServer, namespace: str, path: Path, page_events: int
) -> None:
    pages = Settings(page_events=page_events)
    with (
        SyncEventStore.open(server.url, namespace=namespace, settings=pages) as store,
        SnapshotFile(path) as snapshots,
    ):
        store.append("run", [step(n) for n in range(1, EVENTS + 1)])
        events = store.load("run")
        travels = SyncTimeTravel(store, snapshots=snapshots)
        travels.state_at("run")
        for version in range(EVENTS + 1):
            assert travels.state_at("run", version) == fold(events[:version], RunState("run"))
            moment = NOON + timedelta(minutes=version, seconds=1)
            assert travels.state_at("run", moment).version == version


def test_a_late_version_folds_only_what_comes_after_the_nearest_snapshot(
    travels: SyncTimeTravel, monkeypatch: pytest.MonkeyPatch
) -> None:
    travels.state_at("run")
    folded = counted(monkeypatch)
    travels.state_at("run", 57)
    assert folded == list(range(51, 58))
    folded.clear()
    travels.state_at("run", NOON + timedelta(minutes=33))
    assert folded == [31, 32, 33]


def test_a_time_never_begins_behind_an_event_that_occurred_later(
    sync_store: SyncEventStore, path: Path
) -> None:
    # given an event whose producer's clock was a day ahead, and a snapshot behind it
    events = [step(n) for n in range(1, 31)]
    events[4] = NewEvent("run.patched", {"patch": {"late": 1}}, occurred_at=NOON + timedelta(1))
    sync_store.append("run", events)
    with SnapshotFile(path) as snapshots:
        travels = SyncTimeTravel(sync_store, snapshots=snapshots)
        travels.state_at("run")
        # when the run is asked for at a time before that / then the event holds it back
        assert travels.state_at("run", NOON + timedelta(minutes=25)).version == 4


def test_a_snapshot_beyond_the_end_of_the_run_is_told(
    sync_store: SyncEventStore, travels: SyncTimeTravel, server: AnyServer
) -> None:
    # given a server that lost the end of a run
    travels.state_at("run")
    keys = sync_store.operations.keys
    server.admin.hset(keys.head("run"), "v", 40)
    server.admin.xtrim(keys.run("run"), maxlen=0)
    # when somebody asks for it / then it is told what was known
    with pytest.raises(LogRegressed, match="version 90"):
        travels.state_at("run")


def test_a_snapshot_of_another_history_is_not_used(
    sync_store: SyncEventStore,
    travels: SyncTimeTravel,
    server: AnyServer,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a run whose events were lost, and others took their place
    travels.state_at("run")
    keys = sync_store.operations.keys
    server.admin.delete(keys.run("run"), keys.head("run"))
    sync_store.append("run", NewEvent("run.patched", {"patch": {"new": 1}}))
    for n in range(EVENTS):
        sync_store.append("run", step(n))
    # when it is asked for / then it is folded from its beginning
    with caplog.at_level(logging.WARNING):
        assert travels.state_at("run").state["new"] == 1
    assert "another history" in caplog.text


def test_a_snapshot_of_another_history_is_not_used_for_a_time_either(
    sync_store: SyncEventStore, travels: SyncTimeTravel, server: AnyServer
) -> None:
    # given a run whose events were lost, and others, that occurred later, took their place
    travels.state_at("run")
    keys = sync_store.operations.keys
    server.admin.delete(keys.run("run"), keys.head("run"))
    sync_store.append("run", [step(n + 1_000) for n in range(EVENTS)])
    # when it is asked for at a time before them / then nothing of what was lost is shown
    assert travels.state_at("run", NOON + timedelta(minutes=57)) == RunState("run")


def test_a_snapshot_of_a_run_that_is_gone_is_not_used(
    sync_store: SyncEventStore, travels: SyncTimeTravel, server: AnyServer
) -> None:
    # given a server that came back from a copy of before the run
    travels.state_at("run")
    keys = sync_store.operations.keys
    server.admin.delete(keys.run("run"), keys.head("run"))
    # when somebody asks for it / then there is no such run
    for at in (None, 57, NOON + timedelta(minutes=57)):
        with pytest.raises(RunNotFound):
            travels.state_at("run", at)


def test_a_snapshot_of_another_store_is_not_used(
    travels: SyncTimeTravel, server: AnyServer, namespace: str, path: Path
) -> None:
    # given snapshots of one store, and a shorter run of the same name in another one
    travels.state_at("run")
    with (
        SyncEventStore.open(server.url, namespace=f"{namespace}-b") as other,
        SnapshotFile(path) as snapshots,
    ):
        other.append("run", [step(n) for n in (101, 102)])
        there = SyncTimeTravel(other, snapshots=snapshots)
        # when the other one is asked / then it tells its own run
        assert there.state_at("run") == fold(other.load("run"))
        with pytest.raises(InvalidArgument, match="there is no version 57"):
            there.state_at("run", 57)
    server.forget(f"{namespace}-b")


def test_the_state_as_it_is_now_is_loaded_from_the_nearest_snapshot(
    sync_store: SyncEventStore, travels: SyncTimeTravel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fold(sync_store.load("run"))
    assert travels.load_state("run") == expected
    folded = counted(monkeypatch)
    assert travels.load_state("run") == expected
    assert folded == list(range(91, EVENTS + 1))


def test_a_damaged_snapshot_is_not_used(
    travels: SyncTimeTravel, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = travels.state_at("run", 93)
    assert tamper(path, "UPDATE snapshots SET state = replace(state, '90', '91')") > 0
    with caplog.at_level(logging.WARNING):
        assert travels.state_at("run", 93) == known
    assert "damaged" in caplog.text


def test_snapshots_of_a_deleted_run_are_dropped(
    sync_store: SyncEventStore, travels: SyncTimeTravel, path: Path
) -> None:
    travels.state_at("run")
    assert ask(path, "SELECT count(*) FROM snapshots") == [(9,)]
    sync_store.append("run", [ended(), NewEvent("run.deleted")])
    assert travels.state_at("run").deleted
    assert ask(path, "SELECT count(*) FROM snapshots") == [(0,)]


def test_only_the_last_snapshots_are_kept(sync_store: SyncEventStore, path: Path) -> None:
    sync_store.append("run", [step(n) for n in range(1, EVENTS + 1)])
    with SnapshotFile(path, max_snapshots=3) as snapshots:
        SyncTimeTravel(sync_store, snapshots=snapshots).state_at("run")
    assert ask(path, "SELECT version FROM snapshots") == [(70,), (80,), (90,)]


def test_a_file_of_another_kind_is_refused(server: AnyServer, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    tamper(path, "CREATE TABLE other (x)")
    with pytest.raises(StoreMismatch, match="no file of snapshots"):
        SnapshotFile(path)
