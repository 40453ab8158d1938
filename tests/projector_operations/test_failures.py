"""A projection that cannot take an event stands or skips it; the others go on."""

from __future__ import annotations

import threading

import pytest
from faults import eventually
from histories import EPOCH, ListLog, placed, record
from shipments import Shipments

from eventstore.errors import InvalidArgument, ProjectionFailed, WaitTimeout
from eventstore.events import NewEvent, RecordedEvent
from projections import (
    Database,
    Projector,
    Transaction,
    open_database,
    pause,
    projection_status,
    resume,
    wait_for,
)
from projections.status import ProjectionStatus
from projector_operations.samples import Picky, Skipping, a_log, picked, places

HATED = ("run-3", 4)


@pytest.fixture
def log() -> ListLog:
    return ListLog(a_log(6))


@pytest.fixture(autouse=True)
def hated(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Give the events that cannot be taken; emptied, all can."""
    events = {HATED}
    monkeypatch.setattr(Picky, "hated", events)
    return events


def status_of(database: Database, name: str) -> ProjectionStatus:
    return {status.name: status for status in projection_status(database)}[name]


@pytest.mark.parametrize("batch_events", [1, 7, 1_000])
def test_it_stands_right_before_the_event_and_goes_on_there_after_a_fix(
    log: ListLog, database: Database, batch_events: int, hated: set[tuple[str, int]]
) -> None:
    # given a projection that cannot take one event
    with Projector(log, database, [Picky, Shipments], batch_events=batch_events) as projector:
        with pytest.raises(ProjectionFailed):
            projector.run_to_end()
        # then the others are at the end, and it is shown with event, error and time
        assert status_of(database, "shipments").events == len(log.events)
        status = status_of(database, "picky")
        assert (status.state, status.cause) == ("failed", "ValueError: not this one")
        assert status.since is not None
        assert status.failure is not None
        assert (status.failure.run_id, status.failure.version) == HATED
        assert status.failure.type == "call.completed"
        assert "not this one" in status.failure.traceback
        # and it has taken what stands before that event, and nothing of the event
        stands = len(picked(database))
        assert HATED not in picked(database)
        assert stands == status.events
        # when it is mended and resumed
        hated.clear()
        projector.resume("picky")
        projector.run_to_end()
    # then it has everything, once
    assert picked(database) == places(log.events)
    assert status_of(database, "picky").state == "running"


def test_a_failed_projection_stays_so_over_restarts_and_is_told_again(
    log: ListLog, database: Database, hated: set[tuple[str, int]]
) -> None:
    with Projector(log, database, [Picky]) as projector, pytest.raises(ProjectionFailed):
        projector.run_to_end()
    stands = picked(database)
    hated.clear()
    with Projector(log, database, [Picky]) as projector:
        with pytest.raises(ProjectionFailed, match="at version 4") as caught:
            projector.run_to_end()
        assert caught.value.projection == "picky"
        assert picked(database) == stands
        resume(database, "picky")
        projector.run_to_end()
    assert picked(database) == places(log.events)


def test_one_that_fails_again_after_resume_is_failed_again(
    log: ListLog, database: Database
) -> None:
    with Projector(log, database, [Picky]) as projector:
        for _ in range(2):
            with pytest.raises(ProjectionFailed):
                projector.run_to_end()
            projector.resume("picky")
    assert HATED not in picked(database)


@pytest.mark.parametrize("batch_events", [1, 7, 1_000])
def test_an_event_that_is_skipped_is_kept_with_what_went_wrong(
    log: ListLog, database: Database, batch_events: int
) -> None:
    with Projector(log, database, [Skipping, Shipments], batch_events=batch_events) as projector:
        projector.run_to_end()
    assert picked(database, "skipped") == places(log.events) - {HATED}
    status = status_of(database, "skipping")
    assert (status.state, status.dead_events, status.events) == ("running", 1, len(log.events))
    with database.snapshot() as tx:
        ((run_id, version, error, message, data),) = tx.execute(
            "SELECT run_id, version, error, message, data FROM dead_events"
        )
    assert (run_id, version, error, message) == (*HATED, "ValueError", "not this one")
    assert "xxx" in data


def test_what_was_skipped_of_a_run_goes_when_the_run_is_deleted(database: Database) -> None:
    events = [NewEvent("a.b", occurred_at=EPOCH)] * 3
    log = ListLog(placed(record("run-3", [*events, NewEvent("a.b", {"secret": 1})])))
    with Projector(log, database, [Skipping]) as projector:
        projector.run_to_end()
        assert status_of(database, "skipping").dead_events == 1
        deleted = [NewEvent("run.aborted"), NewEvent("run.deleted")]
        log.extend(placed([*log.events, *record("run-3", deleted, first_version=5)])[4:])
        projector.run_to_end()
    assert status_of(database, "skipping").dead_events == 0


def test_a_failed_projection_keeps_what_others_of_the_batch_wrote_and_nothing_of_its_own(
    database: Database, hated: set[tuple[str, int]]
) -> None:
    # given one that keeps rows back until the end of the batch
    class Late(Picky):
        def __init__(self) -> None:
            self.kept: list[tuple[str, int]] = []

        def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
            self.kept.append((event.run_id, event.version))

        def flush(self, tx: Transaction) -> None:
            for one in self.kept:
                tx.execute("INSERT INTO picked VALUES (?, ?)", one)
                if one in self.hated:
                    raise ValueError
            self.kept = []

        def forget(self) -> None:
            self.kept = []

    log = ListLog(a_log(6))
    with Projector(log, database, [Late]) as projector:
        with pytest.raises(ProjectionFailed):
            projector.run_to_end()
        assert HATED not in picked(database)
        hated.clear()
        projector.resume("picky")
        projector.run_to_end()
    assert picked(database) == places(log.events)


def test_a_projection_that_ends_the_transaction_is_an_error_and_nothing_is_written(
    log: ListLog, database: Database
) -> None:
    class Rude(Shipments):
        def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
            tx.execute("ROLLBACK")
            raise ValueError

    with (
        Projector(log, database, [Picky, Rude]) as projector,
        pytest.raises(Exception, match="ended the projector's transaction"),
    ):
        projector.run_to_end()
    assert picked(database) == set()


# Pause and resume.


def test_a_paused_projection_stands_over_restarts_until_it_is_resumed(
    log: ListLog, database: Database, hated: set[tuple[str, int]]
) -> None:
    hated.clear()
    with Projector(log, database, [Picky, Shipments], batch_events=10) as projector:
        projector.run_once()
        projector.pause("picky", "the nightly report")
        projector.run_to_end()
    with Projector(log, database, [Picky, Shipments]) as projector:
        assert projector.run_to_end() == 0
        status = status_of(database, "picky")
        assert (status.state, status.cause) == ("paused", "the nightly report")
        assert len(picked(database)) == 10
        projector.resume("picky")
        projector.run_to_end()
    assert picked(database) == places(log.events)
    assert status_of(database, "shipments").events == len(log.events)


def test_another_process_pauses_and_resumes_what_a_projector_feeds(
    database: Database, hated: set[tuple[str, int]]
) -> None:
    # given a projector that follows, and another database object, as another process has
    hated.clear()
    events = a_log(6)
    log, stop = ListLog(events[:20]), threading.Event()
    with (
        open_database(database.path) as other,
        Projector(log, database, [Picky, Shipments], block_ms=1) as projector,
    ):
        projector.run_once()
        following = threading.Thread(target=projector.run, args=(stop,))
        following.start()
        # when one is paused, and more comes
        pause(other, "picky")
        log.extend(events[20:])
        # then the other one alone goes on
        eventually(lambda: status_of(other, "shipments").events == len(events))
        assert len(picked(other)) == 20
        # and all go on after resume, though nothing new comes
        resume(other, "picky")
        eventually(lambda: picked(other) == places(events))
        # also where every one was paused
        pause(other, "picky")
        pause(other, "shipments")
        resume(other, "shipments")
        stop.set()
        following.join()


def test_pausing_what_is_not_there_is_refused(log: ListLog, database: Database) -> None:
    with Projector(log, database, [Shipments]) as projector:
        projector.run_to_end()
    for change in (pause, resume):
        with pytest.raises(InvalidArgument, match=r"no projection 'nobody'.*has: shipments"):
            change(database, "nobody")
    with pytest.raises(InvalidArgument, match="characters"):
        pause(database, "shipments", "x" * 2_001)


# Waiting.


def test_waiting_for_a_failed_projection_ends_at_once_and_says_why(
    log: ListLog, database: Database
) -> None:
    with Projector(log, database, [Picky]) as projector:
        with pytest.raises(ProjectionFailed):
            projector.run_to_end()
        with pytest.raises(ProjectionFailed, match="version 4 of run 'run-3'"):
            projector.wait_for([log.events[-1].position], timeout=60)


def test_waiting_for_a_paused_projection_says_that_it_is_paused(
    log: ListLog, database: Database, hated: set[tuple[str, int]]
) -> None:
    hated.clear()
    with Projector(log, database, [Picky], batch_events=1) as projector:
        projector.run_once()
        projector.pause("picky", "audit")
        projector.run_to_end()
    with pytest.raises(WaitTimeout, match=r"'picky' is paused \(audit\)"):
        wait_for(database, [log.events[-1].position], 0.01, projections=["picky"])
