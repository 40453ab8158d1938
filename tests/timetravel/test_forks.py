"""A fork is a run of its own that begins as its parent did, or it is not there at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archive.filing import archived
from histories import histories
from hypothesis import HealthCheck, given, settings
from replaying import restorer, travel, types
from samples import contents, ended, noted, notes, paused, resumed
from servers import AnyServer

from eventstore import (
    EventStore,
    InvalidArgument,
    InvalidEvent,
    InvalidRunId,
    NewEvent,
    RunNotFound,
    Settings,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.events import ENDS
from eventstore.events.identifiers import new_id
from projections.state import RunState
from replay import SyncTimeTravel

ON_A_REAL_SERVER = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def begun(**data: Any) -> NewEvent:
    return NewEvent("run.created", {"input": 7, **data}, workflow_id="intake")


def as_parents(state: RunState, parent: str) -> RunState:
    """Give a state with the names of another run."""
    return replace(state, run_id=parent, parent=None)


async def test_a_fork_is_its_parent_up_to_its_version_and_goes_on_alone(any_store: Any) -> None:
    # given a run that has ended
    patched = NewEvent("run.patched", {"patch": {"a": 1}}, meta={"actor": "ann"})
    await any_store.append("parent", [begun(labels={"x": 1}), patched, noted(), ended()])
    before = await any_store.load("parent")
    # when it is forked from before its end
    fork = await travel(any_store).fork("parent", 3, "fork")
    # then the fork says so, names its parent, and has the same events at the same versions
    assert (fork.run_id, fork.version, fork.parent, fork.parent_version) == (
        *("fork", 3),
        *("parent", 3),
    )
    events = await any_store.load("fork")
    assert [(e.version, e.id, e.occurred_at) for e in events] == [
        (e.version, e.id, e.occurred_at) for e in before[:3]
    ]
    assert events[0].data == {
        "input": 7,
        "labels": {"x": 1},
        "parent": "parent",
        "parent_version": 3,
    }
    assert [e.meta for e in events] == [{**e.meta, "forked_from": "parent"} for e in before[:3]]
    # and it goes on, while its parent stays as it was
    await any_store.append("fork", noted(), expected=3)
    assert await any_store.load("parent") == before


async def test_a_fork_is_patched_by_an_event_of_its_own(any_store: Any) -> None:
    await any_store.append(
        "parent", [begun(), NewEvent("run.patched", {"patch": {"a": 1, "b": 1}})]
    )
    fork = await travel(any_store).fork("parent", None, "fork", {"a": 2}, actor="ann")
    state = await travel(any_store).state_at("fork")
    assert (fork.version, fork.parent_version, state.state) == (3, 2, {"a": 2, "b": 1})
    assert (await any_store.load("fork"))[-1].meta == {"actor": "ann"}


async def test_a_run_is_forked_as_it_was_at_a_time(any_store: Any) -> None:
    at = [NOON + timedelta(minutes=n) for n in range(3)]
    await any_store.append("parent", [noted(str(n), occurred_at=at[n]) for n in range(3)])
    assert (await travel(any_store).fork("parent", at[1], "fork")).version == 2


async def test_the_same_fork_again_is_recognised(any_store: Any) -> None:
    # given a fork that went on since
    await any_store.append("parent", [begun(), noted()])
    first = await travel(any_store).fork("parent", 2, "fork", {"a": 1})
    await any_store.append("fork", noted())
    # when it is asked for again / then it is found, and nothing is written
    again = await travel(any_store).fork("parent", 2, "fork", {"a": 1})
    assert (first.already_there, again.already_there) == (False, True)
    assert (await any_store.head("fork")).version == 4


@pytest.mark.parametrize(("at", "patch"), [(1, None), (2, {"a": 2}), (2, None)])
async def test_another_fork_onto_the_same_run_is_refused(
    any_store: Any, at: int, patch: dict[str, Any] | None
) -> None:
    await any_store.append("parent", [begun(), noted()])
    await travel(any_store).fork("parent", 2, "fork", {"a": 1})
    with pytest.raises(WrongExpectedVersion) as refused:
        await travel(any_store).fork("parent", at, "fork", patch)
    assert (refused.value.run_id, refused.value.actual) == ("fork", 3)


@pytest.mark.parametrize("onto", ["parent", "other"])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_fork_onto_a_run_that_is_there_is_refused(
    any_store: Any, server: AnyServer, namespace: str, onto: str, *, dry_run: bool
) -> None:
    await any_store.append("parent", [begun(), noted()])
    await any_store.append("other", noted())
    before = contents(server, namespace)
    with pytest.raises(WrongExpectedVersion):
        await travel(any_store).fork("parent", 2, onto, dry_run=dry_run)
    assert contents(server, namespace) == before


async def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    any_store: Any, server: AnyServer, namespace: str
) -> None:
    await any_store.append("parent", [begun(), noted()])
    before = contents(server, namespace)
    fork = await travel(any_store).fork("parent", 2, "fork", {"a": 1}, dry_run=True)
    assert (fork.version, fork.events, fork.already_there) == (3, 2, False)
    assert contents(server, namespace) == before


@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
@pytest.mark.parametrize(
    ("at", "new", "patch", "error"),
    [
        (0, "fork", None, InvalidArgument),
        (NOON - timedelta(days=9_999), "fork", None, InvalidArgument),
        (4, "fork", None, InvalidArgument),
        (-1, "fork", None, InvalidArgument),
        ("1", "fork", None, InvalidArgument),
        (NOON.replace(tzinfo=None), "fork", None, InvalidArgument),
        (3, "fork", {"a": 1}, InvalidArgument),  # behind its end
        (2, "fork", [1], InvalidEvent),
        (2, "fork", {"a": float("nan")}, InvalidEvent),
        (2, "", None, InvalidRunId),
        (2, "a\nb", None, InvalidRunId),
    ],
)
async def test_what_cannot_be_forked_is_refused(
    any_store: Any,
    server: AnyServer,
    namespace: str,
    at: Any,
    new: str,
    patch: Any,
    error: type[Exception],
) -> None:
    await any_store.append("parent", [begun(), noted(), ended()])
    before = contents(server, namespace)
    with pytest.raises(error):
        await travel(any_store).fork("parent", at, new, patch)
    assert contents(server, namespace) == before


async def test_a_run_that_never_was_cannot_be_forked(any_store: Any) -> None:
    with pytest.raises(RunNotFound):
        await travel(any_store).fork("nobody", 1, "fork")


async def test_more_events_than_one_append_takes_are_forked_at_once(
    server: AnyServer, namespace: str
) -> None:
    # given a run of more events than an append may have
    bounds = Settings(max_append_events=10, max_copied_events=25)
    async with EventStore.open(server.url, namespace=namespace, settings=bounds) as store:
        for _ in range(3):
            await store.append("parent", notes(10))
        # when so many are forked as may be copied / then they are one append
        assert (await travel(store).fork("parent", 25, "fork")).version == 25
        entries = server.admin.xrange(store.operations.keys.run("fork"))
        assert len({fields[b"a"] for _, fields in entries}) == 1
        # and more are refused
        with pytest.raises(InvalidArgument, match="25 events at most"):
            await travel(store).fork("parent", 26, "more")


async def test_an_event_as_large_as_may_be_is_forked(store: EventStore) -> None:
    room = store.opening.settings.max_event_bytes - len(noted().encoded)
    await store.append("parent", noted("x" * room))
    await travel(store).fork("parent", 1, "fork")
    assert (await store.load("fork"))[0].data == {"text": "x" * room}


async def test_a_fork_of_a_paused_run_waits_as_its_parent_does(any_store: Any) -> None:
    # given a run whose pause goes on, and one whose pause is over
    await any_store.append("waits", [begun(), paused(window_ms=0, occurred_at=NOON)])
    await any_store.append("goes", [begun(), paused(window_ms=0, occurred_at=NOON), resumed()])
    for parent in ("waits", "goes"):
        await travel(any_store).fork(parent, None, f"{parent} too")
    # when windows end
    await restorer(any_store, lambda _: None).run_once()
    # then the one fork's has ended, and the other has none
    assert types(await any_store.load("waits too"))[-1] == "run.resumed"
    assert (await any_store.head("goes too")).version == 3


def test_what_left_redis_is_forked_from_the_archive(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    # given a run whose events are in the archive alone
    path = tmp_path / "a.db"
    with SyncEventStore.open(server.url, namespace=namespace, archive=path) as store:
        store.append("parent", [begun(), *notes(5), ended()])
        archived(store, path)
        server.admin.delete(store.operations.keys.run("parent"))
        # when it is forked / then nothing is missing
        SyncTimeTravel(store).fork("parent", 6, "fork")
        assert [e.id for e in store.load("fork")] == [e.id for e in store.load("parent")][:6]


# Law 3


@ON_A_REAL_SERVER
@given(history=histories(max_events=12))
def test_a_fork_at_a_version_has_the_state_of_that_many_events(
    sync_store: SyncEventStore, history: list[NewEvent]
) -> None:
    parent = new_id()
    sync_store.append(parent, history)
    travels = SyncTimeTravel(sync_store)
    for version in range(1, len(history) + 1):
        fork = travels.fork(parent, version, f"{parent}-{version}")
        found, known = travels.state_at(fork.run_id), travels.state_at(parent, version)
        assert found.parent == (None if known.deleted else parent)
        assert as_parents(found, parent) == known
        # and the log tells it as the fork's own history does
        assert not sync_store.head(fork.run_id).closed or history[version - 1].type in (
            *ENDS,
            "run.deleted",
        )


@ON_A_REAL_SERVER
@given(history=histories(max_events=12))
def test_the_past_of_a_fork_is_that_of_its_parent(
    sync_store: SyncEventStore, history: list[NewEvent]
) -> None:
    parent = new_id()
    sync_store.append(parent, history)
    travels = SyncTimeTravel(sync_store)
    fork = travels.fork(parent, None, f"{parent}-fork")
    for version in range(len(history) + 1):
        found, known = travels.state_at(fork.run_id, version), travels.state_at(parent, version)
        named = next((e.workflow_id for e in history if e.workflow_id), None)
        assert found.workflow_id in (known.workflow_id, named)  # one append: known from the start
        assert replace(as_parents(found, parent), workflow_id=None) == replace(
            known, workflow_id=None
        )
