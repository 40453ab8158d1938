"""Rows are made anew beside the live ones, and put in place in one step."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

import pytest
from faults import eventually
from histories import ListLog
from shipments import Shipments, orders, shipments

from eventstore.errors import InvalidArgument, ProjectionFailed, StoreMismatch
from eventstore.events import RecordedEvent
from projections import Database, Projector, Transaction, open_database, rebuild
from projections.aside import aside_path
from projections.rebuilding import Rebuild, RebuildProgress, chosen
from projector_operations.samples import ALL, Picky, a_log, change, picked, places, rows


@pytest.fixture
def log() -> ListLog:
    return ListLog(a_log(12))


def test_rows_that_were_changed_are_as_the_events_make_them(
    log: ListLog, database: Database, path: Path
) -> None:
    # given rows that somebody changed
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
    before = rows(path)
    change(path, "DELETE FROM runs", "UPDATE timeline SET data = '{}'", "DELETE FROM shipments")
    # when all is rebuilt
    done = rebuild(log, database, projections=ALL)
    # then every row is as it was, and nothing lies about
    assert rows(path) == before
    assert done.events == len(log.events)
    assert set(done.projections) == {one.name for one in ALL}
    assert not aside_path(path, "rebuild").exists()


def test_one_projection_is_rebuilt_and_the_others_are_left_alone(
    log: ListLog, database: Database, path: Path
) -> None:
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
    change(path, "UPDATE shipments SET amount = 0", "UPDATE event_types SET events = 0")
    rebuild(log, database, ["shipments"], ALL)
    assert sum(shipments(database).values()) == 12
    assert {events for _, events in rows(path)["event_types"]} == {0}


def test_a_rebuilt_projection_goes_on_with_what_comes_then(database: Database, path: Path) -> None:
    # given a projector at work, with states in memory
    events = a_log(6)
    log = ListLog(events[:30])
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
        change(path, "DELETE FROM runs", "DELETE FROM nodes")
        # when the rows are rebuilt, and more is appended
        rebuild(log, database, projections=ALL)
        log.extend(events[30:])
        projector.run_to_end()
    # then the rows are those of a projector that was never disturbed
    with open_database(path.with_name("whole.db")) as whole, Projector(log, whole, ALL) as other:
        other.run_to_end()
    assert rows(path) == rows(path.with_name("whole.db"))


def test_a_projector_and_its_readers_go_on_while_rows_are_rebuilt(
    database: Database, path: Path
) -> None:
    events = a_log(40)
    log = ListLog(events[:100])
    stop = threading.Event()
    with Projector(log, database, ALL, batch_events=7, block_ms=1) as projector:
        projector.run_to_end()
        following = threading.Thread(target=projector.run, args=(stop,))
        following.start()
        for start in range(100, 400, 50):
            log.extend(events[start : start + 50])
            projector.rebuild()
        eventually(lambda: [s.lag_events for s in projector.status()] == [0] * len(ALL))
        stop.set()
        following.join()
    with open_database(path.with_name("whole.db")) as whole, Projector(log, whole, ALL) as other:
        other.run_to_end()
    assert rows(path) == rows(path.with_name("whole.db"))


def test_live_rows_never_go_back(log: ListLog, database: Database) -> None:
    # given a rebuild that has read the log as it was, and live rows that are further
    events = a_log(20)
    log = ListLog(events[:100])
    with Projector(log, database, ALL) as projector:
        projector.run_to_end()
        rebuilding = Rebuild(log, database, chosen(ALL, ()))
        while rebuilding.step():
            pass
        log.extend(events[100:])
        projector.run_to_end()
        # when it makes the switch
        rebuilding.switch()
        # then it has read on
        assert {status.events for status in projector.status()} == {len(events)}


def test_progress_tells_how_far_it_is_and_how_long_it_takes(
    log: ListLog, database: Database
) -> None:
    told: list[RebuildProgress] = []
    rebuild(log, database, projections=ALL, on_progress=told.append)
    assert told[-1].events == told[-1].total == len(log.events)
    assert told[-1].seconds_left == 0
    assert (told[-1].per_second or 0) > 0


def test_a_rebuild_that_was_left_is_gone_on_with(log: ListLog, database: Database) -> None:
    # given one that was left after a batch
    first = Rebuild(log, database, chosen(ALL, ()), batch_events=20)
    read = first.step()
    first.close()
    # when another one for the same projections comes
    done = rebuild(log, database, projections=ALL)
    # then it reads the rest alone
    assert (done.continued_at, done.events) == (read, len(log.events) - read)


@pytest.mark.parametrize("why", ["anew", "others", "other store", "no database"])
def test_what_a_rebuild_left_is_not_used_for_anything_else(
    log: ListLog, database: Database, path: Path, why: str
) -> None:
    first = Rebuild(log, database, chosen(ALL, ()), batch_events=20)
    first.step()
    first.close()
    if why == "no database":
        aside_path(path, "rebuild").write_bytes(b"something else")
    wanted = ["shipments"] if why == "others" else []
    if why == "other store":
        log = ListLog(log.events, identity="other")
    done = rebuild(log, database, wanted, ALL, anew=why == "anew")
    assert (done.continued_at, done.events) == (0, len(log.events))


def test_what_was_put_in_place_once_is_not_put_there_again(
    log: ListLog, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a rebuild that was killed right after its switch, before it could tidy up
    monkeypatch.setattr("projections.aside.Aside.discard", lambda self: self.close())
    rebuild(log, database, projections=ALL)
    monkeypatch.undo()
    assert aside_path(path, "rebuild").exists()
    # when the next one comes
    done = rebuild(log, database, projections=ALL)
    # then it begins anew
    assert done.continued_at == 0


def test_a_second_rebuild_learns_who_is_at_it(log: ListLog, database: Database) -> None:
    first = Rebuild(log, database, chosen(ALL, ()))
    with pytest.raises(StoreMismatch, match=r"another rebuild .* process"):
        rebuild(log, database, projections=ALL)
    first.close()
    rebuild(log, database, projections=ALL)


def test_an_unknown_name_is_refused(log: ListLog, database: Database) -> None:
    with pytest.raises(InvalidArgument, match="no projection 'nobody'"):
        rebuild(log, database, ["nobody"], ALL)


def test_an_event_that_cannot_be_taken_ends_the_rebuild_and_the_old_rows_stand(
    log: ListLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Projector(log, database, [Picky]) as projector:
        projector.run_to_end()
    monkeypatch.setattr(Picky, "hated", {("run-3", 4)})
    with pytest.raises(ProjectionFailed, match="old ones stand") as caught:
        rebuild(log, database, projections=[Picky])
    assert caught.value.event.version == 4
    assert picked(database) == places(log.events)
    # and after a fix it goes on there
    monkeypatch.setattr(Picky, "hated", set())
    done = rebuild(log, database, projections=[Picky])
    assert 0 < done.continued_at < len(log.events)
    assert picked(database) == places(log.events)


def test_a_failed_projection_runs_again_after_its_rebuild_and_a_paused_one_stays_paused(
    log: ListLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picky, "hated", {("run-3", 4)})
    with Projector(log, database, [Picky, Shipments], batch_events=1) as projector:
        projector.run_once()
        projector.pause("shipments", "audit")
        with pytest.raises(InvalidArgument):
            projector.pause("nobody")
        with pytest.raises(ProjectionFailed):
            projector.run_to_end()
        monkeypatch.setattr(Picky, "hated", set())
        projector.rebuild()
        assert [status.state for status in projector.status()] == ["running", "paused"]
    assert picked(database) == places(log.events)


# A version that changed.


class Renewed(Shipments):
    """Ships twice as much, into other tables."""

    version: ClassVar[int] = 2
    schema: ClassVar[str] = """
        CREATE TABLE shipped_twice (customer TEXT PRIMARY KEY, amount INTEGER NOT NULL);
        CREATE INDEX shipped_twice_by_amount ON shipped_twice (amount);
        CREATE VIEW most AS SELECT max(amount) AS amount FROM shipped_twice;
        CREATE TABLE shipped_log (amount INTEGER);
        CREATE TRIGGER shipped_twice_logged AFTER INSERT ON shipped_twice BEGIN
            INSERT INTO shipped_log VALUES (new.amount);
        END;
    """

    def apply(self, tx: Transaction, event: RecordedEvent) -> None:
        tx.execute(
            "INSERT INTO shipped_twice VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            (event.data["customer"], 2 * event.data["amount"]),
        )


def test_a_version_that_changed_is_rebuilt_when_a_projector_starts(
    database: Database, path: Path
) -> None:
    log = ListLog(orders("r", "s"))
    with Projector(log, database, [Shipments]) as projector:
        projector.run_to_end()
    with Projector(log, database, [Renewed], batch_events=4) as projector:
        projector.run_to_end()
        (status,) = projector.status()
    assert (status.version, status.events) == (2, 6)
    found = rows(path)
    assert "shipments" not in found
    assert found["shipped_twice"] == [("a", 12)]
    assert found["shipped_log"] == [(2,)]
    with database.snapshot() as tx:
        assert tx.execute("SELECT amount FROM most") == [(12,)]


def test_until_the_switch_the_old_rows_are_read_and_the_others_go_on(
    log: ListLog, database: Database
) -> None:
    log = ListLog(orders("r", "s"))
    with Projector(log, database, [Shipments]) as projector:
        projector.run_to_end()
    with Projector(log, database, [Renewed, Picky], batch_events=2) as projector:
        projector.run_once()
        assert shipments(database) == {"a": 6}
        assert len(picked(database)) == 2
        projector.run_to_end()
    assert picked(database) == places(log.events)


def test_a_new_version_that_cannot_take_an_event_is_shown_as_failed_with_its_old_rows(
    database: Database,
) -> None:
    class Broken(Shipments):
        version: ClassVar[int] = 2

        def apply(self, tx: Transaction, event: RecordedEvent) -> None:
            if event.version == 2:
                raise ValueError("two")
            super().apply(tx, event)

    log = ListLog(orders("r"))
    with Projector(log, database, [Shipments]) as projector:
        projector.run_to_end()
    with Projector(log, database, [Broken, Picky]) as projector:
        with pytest.raises(ProjectionFailed, match="could not be made anew"):
            projector.run_to_end()
        status = {one.name: one for one in projector.status()}["shipments"]
        assert (status.state, status.version, status.cause) == ("failed", 1, "ValueError: two")
    assert shipments(database) == {"a": 3}
    assert picked(database) == places(log.events)
