"""Large values of states lie in their run once, however often it pauses with them."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from histories import ListLog, objects
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from replaying import HOUR, Workers, begin, control, interrupted, pause, restorer, travel, types
from retention.ground import Ground, expired
from servers import AnyServer

from eventstore import (
    NO_RUN,
    NewEvent,
    Settings,
    StateTooLarge,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.archive.erasing import content_left
from projections import Pauses, Projector, Runs, Timeline, open_database
from replay import (
    Definitions,
    RunControl,
    SyncAudit,
    SyncRunControl,
    SyncTimeTravel,
    checkpoints,
)
from replay.audit.checking import Checker
from replay.exporting import export_events
from replay.importing import Importer

KIB = 1_024
LARGE = {"draft": "the draft " * 30 * KIB, "step": 1}
"""A state of 300 KiB."""
MANY = Settings(inline_state_bytes=1)
"""Settings by which each value is large."""


def stored_keys(event: Any) -> list[str]:
    return sorted(event.data.get("stored") or {})


def bytes_in_redis(server: AnyServer, namespace: str) -> int:
    keys = server.keys(namespace)
    return sum(server.admin.memory_usage(key, samples=0) for key in keys)


# What it costs


async def test_an_unchanged_large_state_costs_as_much_as_one(
    any_store: Any, server: AnyServer, namespace: str
) -> None:
    # given a run that paused once with a large state
    await begin(any_store, "run")
    first = await control(any_store).pause(
        "run", state=LARGE, window=HOUR, on_expiry="park", pause_id="p0"
    )
    once = bytes_in_redis(server, namespace)
    assert once > 2 * 300 * KIB  # in the log, and in the run's own stream
    # when it goes on and pauses with it again and again, the small values changing
    for number in range(1, 10):
        context = await control(any_store).resume("run")
        state = {**context.state, "step": number}
        await control(any_store).pause(
            "run", state=state, window=HOUR, on_expiry="park", pause_id=f"p{number}"
        )
    # then Redis holds hardly more, and each pause knows its state
    assert bytes_in_redis(server, namespace) < 1.1 * once
    events = await any_store.load("run")
    assert types(events).count("state.stored") == 1
    assert types(events)[:3] == ["run.created", "state.stored", "run.paused"]
    assert first.version == 3
    assert (await control(any_store).resume("run")).state == {**LARGE, "step": 9}
    for event in events:
        if event.type == "run.paused":
            assert stored_keys(event) == ["draft"]
            at = await travel(any_store).state_at("run", event.version)
            assert at.state == {**LARGE, "step": event.data["state"]["step"]}


async def test_a_small_state_is_recorded_as_it_is_without_reading_the_run(any_store: Any) -> None:
    small = {"draft": "x" * 30 * KIB, "$stored": "sha256:" + "0" * 64, "stored": {"draft": "a"}}
    await pause(any_store, "run", state=small)
    event = (await any_store.load("run"))[-1]
    assert (event.version, event.data["state"], stored_keys(event)) == (2, small, [])
    assert (await control(any_store).resume("run")).state == small


async def test_a_value_that_changed_is_stored_anew_and_the_others_are_not(any_store: Any) -> None:
    state = {"a": "a" * 50 * KIB, "b": ["b"] * 20 * KIB, "c": {"n": 1}}
    await pause(any_store, "run", state=state)
    context = await control(any_store).resume("run", {"a": "patched " * 8 * KIB})
    await pause(any_store, "run", state=context.state, expected=context.version)
    # then the second pause stored what the patch had brought, and names the other again
    events = await any_store.load("run")
    assert types(events) == [
        "run.created",
        "state.stored",
        "state.stored",
        "run.paused",
        "run.window_expired",
        "run.restored",
        "run.resumed",
        "state.stored",
        "run.paused",
    ]
    again = (await control(any_store).resume("run")).state
    assert again == {**state, "a": "patched " * 8 * KIB}


async def test_branches_that_wait_at_the_same_time_share_what_they_hold(any_store: Any) -> None:
    await pause(any_store, "run", state={**LARGE, "branch": "a"}, pause_id="a", window=HOUR)
    await pause(any_store, "run", state={"other": "y" * 40 * KIB}, pause_id="b", expected=None)
    await pause(any_store, "run", state={**LARGE, "branch": "c"}, pause_id="c", expected=None)
    assert types(await any_store.load("run")).count("state.stored") == 2
    for name in "ac":
        context = await control(any_store).resume("run", pause_id=name)
        assert context.state == {**LARGE, "branch": name}
    context = await control(any_store).resume("run", pause_id="b")
    assert context.state == {"other": "y" * 40 * KIB}


async def test_a_checkpoint_names_what_the_run_holds(any_store: Any) -> None:
    await begin(any_store, "run")
    version = await control(any_store).checkpoint("run", state=LARGE, resume_at="here")
    assert version == 3
    again = await control(any_store).checkpoint("run", state={**LARGE, "step": 2}, expected=3)
    assert again == 4
    with pytest.raises(WrongExpectedVersion):
        await control(any_store).checkpoint("run", state=LARGE, expected=3)
    small = await control(any_store).checkpoint("run", state={"step": 3}, meta={"actor": "ann"})
    events = await any_store.load("run")
    assert types(events)[1:] == ["state.stored", *["checkpoint.saved"] * 3]
    assert events[small - 1].meta == {"actor": "ann"}
    state = await travel(any_store).state_at("run", again)
    assert (state.state, state.checkpoint_version) == ({**LARGE, "step": 2}, again)
    assert (await travel(any_store).state_at("run")).state == {"step": 3}


# How it goes on


async def test_a_large_state_is_restored_after_its_window(any_store: Any) -> None:
    workers = Workers()
    await pause(any_store, "run", state=LARGE)
    await restorer(any_store, workers).run_once()
    (context,) = workers.contexts
    assert (context.state, context.restored) == (LARGE, True)


async def test_a_large_state_is_given_where_signals_end_the_pause_at_once(any_store: Any) -> None:
    await begin(any_store, "run", NewEvent("signal.received", {"type": "paid", "payload": 7}))
    waits = [{"type": "paid", "into": "draft"}]
    paused = await pause(any_store, "run", state=LARGE, wait_for=waits, expected=2)
    events = await any_store.load("run")
    assert types(events)[2:] == ["state.stored", "run.paused", "run.resumed"]
    assert paused.version == 4
    assert paused.context.state == {"draft": 7, "step": 1}
    assert (await travel(any_store).state_at("run")).state == {"draft": 7, "step": 1}


async def test_a_migrated_large_state_is_stored_as_well(any_store: Any) -> None:
    created = NewEvent("run.created", {"definition_hash": "v1"}, workflow_id="intake")
    await any_store.append("run", created)
    await pause(any_store, "run", state=LARGE, expected=1)
    definitions = Definitions({"intake": "v2"})
    definitions.register("v1", "v2", lambda state, at: ({**state, "more": "z" * 40 * KIB}, at))
    steering = (
        RunControl(any_store, definitions=definitions).resume
        if not hasattr(any_store, "_blocking")
        else _in_thread(SyncRunControl(any_store._blocking, definitions=definitions).resume)
    )
    context = await steering("run")
    assert context.state == {**LARGE, "more": "z" * 40 * KIB}
    events = await any_store.load("run")
    restored = next(event for event in events if event.type == "run.restored")
    assert stored_keys(restored) == ["draft", "more"]
    assert types(events).count("state.stored") == 2
    assert (await travel(any_store).state_at("run")).state == context.state


def _in_thread(call: Any) -> Any:
    return lambda *given: asyncio.to_thread(call, *given)


@pytest.mark.parametrize("number", [1, 2])
def test_whoever_pauses_between_two_steps_is_seen(sync_store: SyncEventStore, number: int) -> None:
    # given two that save a checkpoint of the same large state, one between any steps of the other
    sync_store.append("run", NewEvent("run.created"))
    saving = [
        checkpoints.save(sync_store.operations, "run", {**LARGE, "n": n}, None, None, None)
        for n in range(2)
    ]
    # when both have done so
    version, other = sync_store.perform(interrupted(saving[0], number, saving[1]))
    # then the value was stored once, and the versions are told as they are
    events = sync_store.load("run")
    assert types(events).count("state.stored") == 1
    travels = SyncTimeTravel(sync_store)
    assert (version, other) == (4, 3)
    assert [travels.state_at("run", v).state for v in (4, 3)] == [
        {**LARGE, "n": 0},
        {**LARGE, "n": 1},
    ]


def test_who_expects_an_exact_version_writes_nothing_at_another(
    sync_store: SyncEventStore,
) -> None:
    sync_store.append("run", [NewEvent("run.created"), NewEvent("run.started")])
    steering = SyncRunControl(sync_store)
    for expected in (1, 0, 3, NO_RUN):
        with pytest.raises(WrongExpectedVersion):
            steering.checkpoint("run", state=LARGE, expected=expected)
    with pytest.raises(WrongExpectedVersion):
        steering.checkpoint("new", state=LARGE)
    assert sync_store.head("run").version == 2
    # and a run that is to begin so, does
    assert steering.checkpoint("new", state=LARGE, expected=NO_RUN) == 2
    assert SyncTimeTravel(sync_store).state_at("new").state == LARGE


def test_an_append_that_is_sent_again_writes_nothing_twice(sync_store: SyncEventStore) -> None:
    sync_store.append("run", NewEvent("run.created"))
    plan = checkpoints.save(sync_store.operations, "run", LARGE, None, None, None)
    asked = next(plan)
    while not hasattr(asked, "events"):
        asked = plan.send(sync_store.perform(_step(asked)))
    first, again = (
        sync_store.append("run", asked.events, expected=asked.expected, append_id="the-attempt")
        for _ in range(2)
    )
    assert (again.deduplicated, again.last_version) == (True, first.last_version)
    assert sync_store.head("run").version == 3


def _step(step: Any) -> Any:
    return (yield step)


# Where else it is


def test_a_state_outlives_its_trimmed_history(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    with Ground(server, namespace, tmp_path) as ground:
        # given a run with a large state, all of which left Redis
        ground.append("run", NewEvent("run.created"))
        steering = SyncRunControl(ground.store)
        steering.pause("run", state=LARGE, window=0, on_expiry="park", pause_id="p1")
        ground.append("run", expired())
        ground.archive_and_trim()
        assert not ground.holds_stream("run")
        # when it goes on and pauses again
        context = steering.resume("run", {"step": 2})
        steering.pause("run", state=context.state, window=0, on_expiry="park", pause_id="p2")
        # then the state is whole, and its value was not stored again
        assert context.state == {**LARGE, "step": 2}
        events = ground.store.load("run")
        assert types(events).count("state.stored") == 1
        assert steering.resume("run").state == {**LARGE, "step": 2}
        ground.archive_and_trim()
        with ground.opened_archive() as archive:
            assert SyncAudit(ground.store).verify(archive=archive).exit_code == 0


def test_a_deleted_run_leaves_nothing_of_its_values(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    with Ground(server, namespace, tmp_path) as ground:
        ground.append("run", NewEvent("run.created"))
        steering = SyncRunControl(ground.store)
        steering.pause("run", state=LARGE, window=HOUR, on_expiry="park")
        ground.archive()
        deleted = steering.delete("run")
        ground.archive_and_trim()
        with ground.opened_archive() as archive, archive.database.snapshot() as tx:
            assert content_left(tx, "run", deleted) == 0
        assert bytes_in_redis(server, namespace) < 100 * KIB
        assert not ground.holds_stream("run")


def test_a_fork_and_an_import_have_the_values_too(
    sync_store: SyncEventStore, server: AnyServer, namespace: str
) -> None:
    steering, travels = SyncRunControl(sync_store), SyncTimeTravel(sync_store)
    sync_store.append("run", NewEvent("run.created"))
    steering.pause("run", state=LARGE, window=HOUR, on_expiry="park")
    steering.resume("run", {"step": 2})
    # a fork at the pause, and one of it
    travels.fork("run", 3, "fork")
    travels.fork("fork", None, "again", {"step": 5})
    assert steering.resume("fork").state == LARGE
    assert steering.resume("again").state == {**LARGE, "step": 5}
    # what differs is what was changed
    changes = [(one.pointer, one.old, one.new) for one in travels.diff("run", 3, 4)]
    assert ("/state/step", 1, 2) in changes
    assert not any("draft" in pointer or "stored" in pointer for pointer, _, _ in changes)
    # an export, imported elsewhere
    sink = io.BytesIO()
    export_events(sync_store, sink)
    other = f"{namespace}-2"
    try:
        with SyncEventStore.open(server.url, namespace=other) as elsewhere:
            Importer(elsewhere).run(io.BytesIO(sink.getvalue()))
            assert SyncTimeTravel(elsewhere).state_at("run").state == {**LARGE, "step": 2}
            assert SyncRunControl(elsewhere).checkpoint("run", state=LARGE) == 5
    finally:
        server.forget(other)


def test_a_decision_is_checked_against_the_whole_state(sync_store: SyncEventStore) -> None:
    sync_store.append("run", NewEvent("run.created"))
    SyncRunControl(sync_store).checkpoint("run", state=LARGE)
    events = sync_store.load("run")

    def decide(state: Any) -> Any:
        return lambda run, _: [("checkpoint.saved", {"state": state})] if run.version else []

    same = Checker.of(decide(LARGE), ["checkpoint.saved", "state.stored"])
    other = Checker.of(decide({**LARGE, "draft": "?"}), ["checkpoint.saved"])
    assert same.first_divergence("run", events) is None
    found = other.first_divergence("run", events)
    assert found is not None
    assert found.version == 3


def test_the_read_side_shows_states_whole_and_values_nowhere_else(
    sync_store: SyncEventStore, tmp_path: Path
) -> None:
    sync_store.append("run", NewEvent("run.created"))
    steering = SyncRunControl(sync_store)
    steering.pause("run", state=LARGE, window=HOUR, on_expiry="park")
    log = ListLog(sync_store.read_all())
    with open_database(tmp_path / "runs.db") as database:
        with Projector(log, database) as projector:
            projector.run_to_end()
        checkpoint = Pauses(database).checkpoint("run")
        assert checkpoint is not None
        assert checkpoint.state == LARGE
        assert Runs(database).get_run("run").state == LARGE
        stored, paused = Timeline(database).timeline(run_id="run").items[1:]
        assert (stored.type, stored.source, list(stored.data)) == (
            "state.stored",
            "run",
            ["digest"],
        )
        assert paused.data["stored"] == {"draft": stored.data["digest"]}
        with database.snapshot() as tx:
            ((size,),) = tx.execute("SELECT length(snapshot) FROM runs")
        assert 300 * KIB < size < 310 * KIB  # of the run's state and its pause's, together


# What is too large


async def test_a_state_of_several_mib_in_several_values_is_taken(any_store: Any) -> None:
    state = {key: key * 900 * KIB for key in "abcd"}
    await pause(any_store, "run", state=state)
    assert (await control(any_store).resume("run")).state == state


@pytest.mark.parametrize(
    ("state", "settings", "key"),
    [
        ({"a": "a" * 500, "big": "b" * 2_100}, Settings(max_event_bytes=2_000), "big"),
        ({"a": "a" * 500, "b": "b" * 600}, Settings(max_state_bytes=1_000), "b"),
        (
            {**{f"k{n}": "x" * 10 for n in range(200)}, "k": "x" * 20},
            Settings(max_event_bytes=1_500),
            "k",
        ),
    ],
    ids=["a value", "all values", "small values"],
)
@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_state_over_a_limit_names_its_largest_key_and_writes_nothing(
    server: AnyServer, namespace: str, state: dict[str, Any], settings: Settings, key: str
) -> None:
    given = Settings(
        inline_state_bytes=1_000,
        max_event_bytes=settings.max_event_bytes,
        max_state_bytes=settings.max_state_bytes,
    )
    with SyncEventStore.open(server.url, namespace=namespace, settings=given) as store:
        store.append("run", NewEvent("run.created"))
        with pytest.raises(StateTooLarge) as error:
            SyncRunControl(store).pause("run", state=state, window=HOUR, on_expiry="park")
        assert error.value.key == key
        assert error.value.size_bytes > error.value.limit_bytes
        assert store.head("run").version == 1


# The law


@pytest.mark.parametrize("server", ["valkey", "redis6", "redis7"], indirect=True)
@hypothesis_settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(state=objects, patch=objects, window=st.booleans())
def test_what_is_given_is_what_is_got(
    server: AnyServer, namespace: str, state: dict[str, Any], patch: dict[str, Any], window: bool
) -> None:
    with SyncEventStore.open(server.url, namespace=namespace, settings=MANY) as store:
        steering = SyncRunControl(store)
        number = next(_numbers)
        run = f"run-{number}"
        store.append(run, NewEvent("run.created"))
        steering.pause(run, state=state, window=HOUR if window else 0, on_expiry="restore")
        context = steering.resume(run, patch)
        assert context.state == {**state, **patch}
        steering.pause(run, state=context.state, window=None, on_expiry="park")
        steering.checkpoint(run, state=state)
        assert SyncTimeTravel(store).state_at(run).state == state
        assert steering.resume(run).state == state


_numbers = iter(range(10**9))
