"""The owner's calls, one by one, on every server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from samples import contents
from servers import AnyServer

from eventstore import Settings, SyncEventStore
from eventstore.groups.parking import Failure, ParkedDetails, Redrive, SyncParked, queries
from eventstore.groups.parking import owner as calls
from parking.fake_owner import FakeOwner, failure, sent


def shown(owner: FakeOwner, run_id: str) -> ParkedDetails:
    details = SyncParked(owner.store, owner.who.group).show(run_id)
    assert details is not None
    return details


def redrive(owner: FakeOwner, run_id: str) -> int:
    return SyncParked(owner.store, owner.who.group).redrive(run_id)


def test_a_parked_event_is_no_longer_pending_and_all_about_it_is_kept(owner: FakeOwner) -> None:
    # given two runs, both pending
    owner.append("r", 2, workflow_id="orders")
    owner.append("s", 1)
    owner.read()
    # when an event fails for good
    told = failure("no such customer", deliveries=5, first_ms=11, last_ms=22)
    assert owner.park("r", 1, told) is True
    # then it alone is out of the way, and its failure is told in full
    assert owner.pending() == {("r", 2), ("s", 1)}
    assert owner.set_aside() == {"r": (1, 1, "parked")}
    run = shown(owner, "r").run
    assert run.failure == told
    assert (run.type, run.workflow_id, run.failed_version) == ("note.taken", "orders", 1)
    assert run.position == owner.event("r", 1).position


def test_what_went_well_before_is_acknowledged_with_it(owner: FakeOwner) -> None:
    owner.append("r", 4)
    owner.read()

    owner.park("r", 3, handled=(1, 2))

    assert owner.pending() == {("r", 4)}
    assert owner.set_aside() == {"r": (3, 3, "parked")}


def test_later_events_queue_behind_a_parked_one(owner: FakeOwner) -> None:
    owner.append("r", 5)
    owner.read()
    owner.park("r", 2, handled=(1,))

    assert owner.hold_back("r", 3, 4) == {3, 4}
    assert owner.hold_back("r", 5) == {5}

    assert owner.set_aside() == {"r": (2, 5, "parked")}
    assert owner.pending() == set()
    assert [event.version for event in shown(owner, "r").events] == [2, 3, 4, 5]


def test_events_of_a_run_that_is_not_parked_are_not_held_back(owner: FakeOwner) -> None:
    owner.append("r", 2)
    owner.read()

    assert owner.hold_back("r", 1, 2) == frozenset()
    assert not owner.is_parked

    assert owner.pending() == {("r", 1), ("r", 2)}
    assert owner.set_aside() == {}


def test_events_from_before_a_parked_one_are_left_to_be_handled(owner: FakeOwner) -> None:
    """Such come when a group is set back, or its owner died with them unacknowledged."""
    owner.append("r", 5)
    owner.read()
    owner.park("r", 3)

    assert owner.hold_back("r", 1, 2, 4) == {4}
    assert owner.hold_back("r", 1, 2) == frozenset()
    assert owner.is_parked

    assert owner.pending() == {("r", 1), ("r", 2), ("r", 5)}
    assert owner.set_aside() == {"r": (3, 4, "parked")}


def test_an_event_that_fails_before_a_parked_one_moves_where_the_run_begins(
    owner: FakeOwner,
) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 3)

    assert owner.park("r", 1) is True

    assert owner.set_aside() == {"r": (1, 3, "parked")}


@pytest.mark.parametrize("twice", ["park", "hold_back", "begin", "release", "park_again"])
def test_a_call_that_is_sent_twice_counts_once(owner: FakeOwner, twice: str) -> None:
    """A lost reply has the transport send a call again."""
    owner.append("r", 3)
    owner.read()
    steps: dict[str, Callable[[], object]] = {
        "park": lambda: owner.park("r", 1),
        "hold_back": lambda: owner.hold_back("r", 2, 3),
        "redrive": lambda: redrive(owner, "r"),
        "begin": lambda: owner.begin("r", 1),
        "release": lambda: owner.release("r", 1),
        "begin the next": lambda: owner.begin("r", 2),
        "park_again": lambda: owner.park_again("r", 2),
    }
    for name, step in steps.items():
        first = step()
        if name == twice:
            before = contents(owner.server, owner.keys.namespace)
            assert step() == first
            assert contents(owner.server, owner.keys.namespace) == before

    assert owner.set_aside() == {"r": (2, 3, "parked")}
    assert shown(owner, "r").run.failure.deliveries == 10


def test_a_late_second_sending_of_a_failure_takes_no_new_redrive_back(owner: FakeOwner) -> None:
    # given a run whose redrive failed, and that was asked for again before the reply came
    owner.append("r", 1)
    owner.read()
    owner.park("r", 1)
    redrive(owner, "r")
    owner.begin("r", 1)
    owner.park_again("r", 1)
    redrive(owner, "r")
    # when the failure is sent a second time
    assert owner.park_again("r", 1) is True
    # then the new redrive stands
    assert owner.set_aside() == {"r": (1, 1, "redrive")}
    assert shown(owner, "r").run.failure.deliveries == 10


def test_a_redriven_run_is_free_after_its_last_event(owner: FakeOwner) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 1)
    owner.hold_back("r", 2)
    redrive(owner, "r")

    assert owner.redrives() == [Redrive("r", 1, 2, 0)]
    assert owner.begin("r", 1) is True
    assert owner.release("r", 1) == 2
    assert owner.redrives() == [Redrive("r", 2, 2, 0)]
    assert owner.release("r", 2) == 0

    assert owner.set_aside() == {}
    assert owner.redrives() == []
    assert owner.hold_back("r", 3) == frozenset()


def test_what_comes_during_a_redrive_queues_behind_it(owner: FakeOwner) -> None:
    owner.append("r", 2)
    owner.read()
    owner.park("r", 1)
    redrive(owner, "r")
    owner.begin("r", 1)

    assert owner.hold_back("r", 2) == {2}

    assert owner.release("r", 1) == 2
    assert owner.release("r", 2) == 0
    assert owner.pending() == set()


def test_a_filter_may_pass_over_versions(owner: FakeOwner) -> None:
    owner.append("r", 9)
    owner.read()
    owner.park("r", 2)
    owner.hold_back("r", 5, 9)
    redrive(owner, "r")

    assert owner.begin("r", 2) is True
    assert owner.release("r", 2) == 9
    assert owner.begin("r", 5) is True
    assert owner.redrives() == [Redrive("r", 5, 9, 1)]
    assert owner.release("r", 5) == 9
    assert owner.release("r", 9) == 0


def test_attempts_that_kill_their_process_are_counted(owner: FakeOwner) -> None:
    # given an owner that died twice over the same event
    owner.append("r", 1)
    owner.read()
    owner.park("r", 1)
    redrive(owner, "r")
    owner.begin("r", 1, attempt=1)
    owner.begin("r", 1, attempt=2)
    # when the next owner looks
    successor = FakeOwner(owner.store, owner.server, epoch=2).take()
    # then it knows, and its count goes on
    assert successor.redrives() == [Redrive("r", 1, 1, 2)]
    assert successor.begin("r", 1, attempt=3) is True
    assert owner.begin("r", 1, attempt=3) is None


def test_a_run_that_fails_again_keeps_its_first_failure_and_adds_up(owner: FakeOwner) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 1, failure("first", deliveries=5, first_ms=100, last_ms=200))
    owner.hold_back("r", 2, 3)
    place = shown(owner, "r").run.place
    redrive(owner, "r")
    owner.begin("r", 1)
    owner.release("r", 1)
    owner.begin("r", 2)

    again = Failure("KeyError", "again", "trace", deliveries=3, first_ms=300, last_ms=400)
    assert owner.park_again("r", 2, again) is True

    run = shown(owner, "r").run
    assert run.failure == Failure("KeyError", "again", "trace", 8, 100, 400)
    assert (run.failed_version, run.first_version, run.last_version) == (2, 2, 3)
    assert run.place > place
    assert owner.set_aside() == {"r": (2, 3, "parked")}
    assert owner.redrives() == []


def test_what_was_discarded_meanwhile_is_told(owner: FakeOwner) -> None:
    owner.append("r", 2)
    owner.read()
    owner.park("r", 1)
    redrive(owner, "r")
    owner.begin("r", 1)

    assert SyncParked(owner.store, "g").discard("r") == 1

    assert owner.begin("r", 1, attempt=2) is False
    assert owner.park_again("r", 1) is False
    assert owner.release("r", 1) == 0
    assert owner.hold_back("r", 2) == frozenset()
    assert owner.set_aside() == {}


def test_a_parked_run_that_nobody_asked_for_is_not_begun(owner: FakeOwner) -> None:
    owner.append("r", 1)
    owner.read()
    owner.park("r", 1)

    assert owner.begin("r", 1) is False
    assert owner.begin("never heard of", 1) is False
    assert owner.set_aside() == {"r": (1, 1, "parked")}


@pytest.mark.parametrize("change", ["another owner", "the same name again", "released"])
def test_who_lost_the_lease_changes_nothing(owner: FakeOwner, change: str) -> None:
    # given runs in every state, and a lease that went on
    for run_id in ("fresh", "parked", "asked"):
        owner.append(run_id, 3)
    owner.read()
    owner.park("parked", 1)
    owner.park("asked", 1)
    redrive(owner, "asked")
    owner.begin("asked", 1)
    lost = {
        "another owner": {"owner": "somebody", "epoch": 2},
        "the same name again": {"owner": owner.who.member, "epoch": 2},
        "released": {"owner": "", "epoch": 1},
    }
    for partition in range(owner.keys.partitions):
        owner.server.admin.hset(owner.keys.lease(partition, "g"), mapping=lost[change])
    before = contents(owner.server, owner.keys.namespace)
    # when the old owner goes on
    outcomes = [
        owner.park("fresh", 1),
        owner.hold_back("parked", 2),
        owner.begin("asked", 1, attempt=2),
        owner.park_again("asked", 1),
        owner.release("asked", 1),
    ]
    # then it is told, and nothing is touched
    assert outcomes == [None] * 5
    assert contents(owner.server, owner.keys.namespace) == before


def test_only_this_group_sees_any_of_it(owner: FakeOwner) -> None:
    # given another group, whose name begins alike, with the same run parked
    other = FakeOwner(owner.store, owner.server, group="g:2").create_group().take()
    for each in (owner, other):
        if each is owner:
            each.append("r", 3)
        each.read()
    other.park("r", 2)
    others = [key for key in owner.server.keys(owner.keys.namespace) if key.endswith(b":g:2")]
    before = {key: owner.server.admin.dump(key) for key in others}
    # when this group goes through everything
    owner.park("r", 1)
    owner.hold_back("r", 2, 3)
    redrive(owner, "r")
    owner.begin("r", 1)
    owner.release("r", 1)
    owner.begin("r", 2)
    owner.park_again("r", 2)
    SyncParked(owner.store, "g").discard("r")
    # then the other's is as it was
    assert len(others) >= 3
    assert {key: owner.server.admin.dump(key) for key in others} == before
    assert other.set_aside() == {"r": (2, 2, "parked")}
    assert other.pending() == {("r", 1), ("r", 3)}


@pytest.mark.parametrize("gone", ["entry", "log"])
def test_what_left_the_log_meanwhile_can_still_be_set_aside(owner: FakeOwner, gone: str) -> None:
    owner.append("r", 3)
    owner.read()
    log = owner.keys.log(owner.keys.partition_of("r"))
    if gone == "log":
        owner.server.admin.delete(log)
    else:
        owner.server.admin.xtrim(log, maxlen=0, approximate=False)

    assert owner.park("r", 1) is True
    assert owner.hold_back("r", 2, 3) == {2, 3}

    assert owner.set_aside() == {"r": (1, 3, "parked")}
    assert [event.version for event in shown(owner, "r").events] == [1, 2, 3]


def test_deliveries_counted_beside_the_log_go_with_what_is_set_aside(owner: FakeOwner) -> None:
    owner.append("r", 3)
    owner.read()
    lease = owner.keys.lease(owner.keys.partition_of("r"), "g")
    counts = {f"t:{owner.event('r', v).position.entry_id}": 2 for v in (1, 2, 3)}
    owner.server.admin.hset(lease, mapping={"mode": "archive", **counts})

    owner.park("r", 2, handled=(1,))
    owner.hold_back("r", 3)

    assert not [name for name in owner.server.admin.hkeys(lease) if name.startswith(b"t:")]


def test_the_runs_of_a_partition_are_found_page_by_page(owner: FakeOwner) -> None:
    run_ids = [f"run-{n}" for n in range(300)]
    owner.append_all(run_ids)
    owner.read()
    for run_id in run_ids:
        owner.park(run_id, 1)

    found: set[str] = set()
    for partition in range(owner.keys.partitions):
        of_one = owner.store.perform(calls.parked_runs(owner.keys, "g", partition, page_runs=7))
        assert {owner.keys.partition_of(run_id) for run_id in of_one} == {partition}
        found |= of_one
    assert found == set(run_ids)


def test_no_more_redrives_are_read_than_asked_for_and_the_first_come_first(
    owner: FakeOwner,
) -> None:
    partition = owner.keys.partition_of("run-0")
    same = [f"run-{n}" for n in range(200) if owner.keys.partition_of(f"run-{n}") == partition][:5]
    owner.append_all(same)
    owner.read()
    for run_id in same:
        owner.park(run_id, 1)
    asked = [same[3], same[0], same[4]]
    for run_id in asked:
        redrive(owner, run_id)

    assert [run.run_id for run in owner.redrives()] == asked
    assert [run.run_id for run in owner.redrives(limit=2)] == asked[:2]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_is_kept_of_an_error_is_bounded() -> None:
    def of(error: BaseException) -> Failure:
        return Failure.of(error, deliveries=1, first_ms=1, last_ms=1, settings=settings)

    settings = Settings(max_failure_message=50, max_failure_traceback=300)
    with pytest.raises(ValueError) as caught:
        int("x" * 1_000)
    found = of(caught.value)

    assert found.kind == "ValueError"
    assert len(found.message) == 50
    assert found.message.startswith("invalid literal")
    assert found.message.endswith("x…")
    assert len(found.traceback) == 300
    assert found.traceback.startswith("…")
    assert found.traceback.endswith("xxx\n")
    assert of(UnprintableError()).kind == "UnprintableError"


def test_a_message_that_is_no_valid_text_is_kept_readable(owner: FakeOwner) -> None:
    owner.append("r", 1)
    owner.read()

    owner.park("r", 1, failure("half a \ud800 pair, a \0 zero and a 😀"))

    assert shown(owner, "r").run.failure.message == "half a \\ud800 pair, a \0 zero and a 😀"


def test_a_namespace_without_memory_parks_nothing_by_halves(
    sync_store: SyncEventStore, server: AnyServer, owner: FakeOwner
) -> None:
    owner.append("r", 2)
    owner.append("s", 2)
    owner.read()
    owner.park("s", 1)
    redrive(owner, "s")
    owner.begin("s", 1)
    before = contents(server, owner.keys.namespace)
    memory = server.admin.config_get("maxmemory")["maxmemory"]
    server.admin.config_set("maxmemory", 1)
    try:
        for refused in (
            lambda: owner.park("r", 1),
            lambda: owner.hold_back("s", 2),
            lambda: owner.park_again("s", 1),
        ):
            with pytest.raises(Exception, match="memory"):
                refused()
        during = contents(server, owner.keys.namespace)
        discarded = SyncParked(sync_store, "g").discard("s")
    finally:
        server.admin.config_set("maxmemory", memory)
    assert during == before
    assert discarded == 1


def test_a_later_event_that_comes_again_shortens_nothing(owner: FakeOwner) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 1)
    owner.hold_back("r", 2, 3)

    assert owner.hold_back("r", 2) == {2}

    assert owner.set_aside() == {"r": (1, 3, "parked")}


def test_a_late_second_sending_of_a_release_takes_no_later_one_back(owner: FakeOwner) -> None:
    owner.append("r", 3)
    owner.read()
    owner.park("r", 1)
    owner.hold_back("r", 2, 3)
    redrive(owner, "r")
    owner.release("r", 1)
    owner.release("r", 2)

    assert owner.release("r", 1) == 3

    assert owner.redrives() == [Redrive("r", 3, 3, 0)]


def test_what_was_parked_anew_since_it_was_seen_is_left(owner: FakeOwner) -> None:
    # given somebody who saw a run parked, before it was redriven and failed again
    owner.append("r", 1)
    owner.read()
    owner.park("r", 1)
    seen = shown(owner, "r").run
    redrive(owner, "r")
    owner.begin("r", 1)
    owner.park_again("r", 1)
    # when they act on what they saw
    where = (owner.keys, "g", seen.place.partition, [seen])
    asked = owner.store.perform(sent(queries.redrive(*where)))
    discarded = owner.store.perform(sent(queries.discard(*where)))
    # then nothing happens to the new parking
    assert (asked, discarded) == (0, 0)
    assert owner.set_aside() == {"r": (1, 1, "parked")}
