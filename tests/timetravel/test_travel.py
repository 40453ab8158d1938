"""What a run was, at any version or time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from histories import histories
from hypothesis import HealthCheck, given, settings
from replaying import HOUR, MS, Workers, pause, restorer, travel

from eventstore import InvalidArgument, InvalidRunId, NewEvent, RunNotFound, Settings
from eventstore.events.identifiers import new_id
from projections.state import RunState, fold
from replay import SyncTimeTravel

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NAIVE = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - without a zone on purpose
ON_A_REAL_SERVER = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def four_steps(store: Any) -> None:
    """Let a run happen at 12:00, 12:01, 12:02 and 12:03."""
    await store.append(
        "run",
        [
            NewEvent(kind, data, occurred_at=NOON + timedelta(minutes=minute))
            for minute, (kind, data) in enumerate(
                [
                    ("run.created", {"input": 7}),
                    ("run.patched", {"patch": {"a": 1}}),
                    ("run.patched", {"patch": {"b": 2}}),
                    ("run.completed", {"output": "done"}),
                ]
            )
        ],
    )


@pytest.mark.parametrize(
    ("version", "status", "state"),
    [
        (0, "pending", {}),
        (1, "pending", {}),
        (2, "pending", {"a": 1}),
        (3, "pending", {"a": 1, "b": 2}),
        (4, "completed", {"a": 1, "b": 2}),
        (None, "completed", {"a": 1, "b": 2}),
    ],
)
async def test_a_run_is_seen_as_it_was_at_a_version(
    any_store: Any, version: int | None, status: str, state: dict[str, Any]
) -> None:
    await four_steps(any_store)
    then = await travel(any_store).state_at("run", version)
    assert (then.run_id, then.status, then.state) == ("run", status, state)
    assert then.version == (4 if version is None else version)


async def test_the_state_as_it_is_now_is_loaded(any_store: Any) -> None:
    await four_steps(any_store)
    assert await travel(any_store).load_state("run") == await travel(any_store).state_at("run", 4)
    with pytest.raises(RunNotFound):
        await travel(any_store).load_state("nobody")


async def test_a_restore_from_a_checkpoint_beyond_the_log_is_of_the_one_that_the_log_has(
    any_store: Any,
) -> None:
    # given a run whose window is over, and somebody's word that it was restored from version 99
    await pause(any_store, "run")
    paused = await travel(any_store).load_state("run")
    forged = NewEvent("run.restored", {"pause_id": "p", "checkpoint_version": 99})
    await any_store.append("run", forged)
    now = await travel(any_store).load_state("run")
    assert (now.state, now.checkpoint_version) == ({"step": 1}, paused.checkpoint_version)
    # when it is restored / then it goes on from its own checkpoint
    workers = Workers()
    await restorer(any_store, workers).run_once()
    assert [context.state for context in workers.contexts] == [{"step": 1}]


@pytest.mark.parametrize(
    ("after", "version"),
    [
        (-HOUR, 0),
        (-MS, 0),
        (timedelta(0), 1),
        (timedelta(microseconds=1), 1),
        (timedelta(minutes=1) - timedelta(microseconds=1), 1),
        (timedelta(minutes=1), 2),
        (timedelta(minutes=3), 4),
        (timedelta(days=9_999), 4),
    ],
)
async def test_a_run_is_seen_as_it_was_at_a_time(
    any_store: Any, after: timedelta, version: int
) -> None:
    # given a run that happened long ago and was recorded just now
    await four_steps(any_store)
    # when it is asked for at a time, in any zone / then what had occurred by then counts
    for zone in (UTC, timezone(timedelta(hours=9))):
        then = await travel(any_store).state_at("run", (NOON + after).astimezone(zone))
        assert (then.run_id, then.version) == ("run", version)


async def test_an_event_that_occurred_late_holds_back_what_came_after_it(any_store: Any) -> None:
    # given producers whose clocks disagree: the third event says that it occurred before the second
    minutes = (0, 5, 2)
    await any_store.append(
        "run",
        [
            NewEvent("run.patched", {"patch": {str(n): n}}, occurred_at=NOON + n * 60_000 * MS)
            for n in minutes
        ],
    )
    # when the run is seen in between / then it is what it was at some version, never a mixture
    seen = [
        (await travel(any_store).state_at("run", NOON + n * 60_000 * MS)).version for n in (2, 4, 5)
    ]
    assert seen == [1, 1, 3]


async def test_events_without_a_time_of_their_own_count_from_when_they_were_recorded(
    any_store: Any,
) -> None:
    await any_store.append("run", NewEvent("run.created"))
    (event,) = await any_store.load("run")
    assert (await travel(any_store).state_at("run", event.recorded_at)).version == 1
    assert (await travel(any_store).state_at("run", event.recorded_at - MS)).version == 0


async def test_the_past_stays_as_it_was(any_store: Any) -> None:
    # given what a paused run was
    await pause(any_store, "run")
    before = await travel(any_store).state_at("run", 2)
    # when it goes on and ends
    await restorer(any_store, lambda _: None).run_once()
    await any_store.append("run", [NewEvent("run.completed"), NewEvent("run.deleted")])
    # then its past is the same, and looking at it wrote nothing
    assert await travel(any_store).state_at("run", 2) == before
    assert before.status == "paused"
    assert (await any_store.head("run")).version == 7
    assert (await travel(any_store).state_at("run")).deleted


@pytest.mark.parametrize("version", [5, 10**9, -1, True, 1.5, "2", date(2024, 5, 1)])
@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
async def test_a_version_that_is_none_is_refused(any_store: Any, version: Any) -> None:
    await four_steps(any_store)
    with pytest.raises(InvalidArgument, match="version"):
        await travel(any_store).state_at("run", version)


async def test_a_time_needs_its_zone(any_store: Any) -> None:
    await four_steps(any_store)
    with pytest.raises(InvalidArgument, match="zone"):
        await travel(any_store).state_at("run", NAIVE)


@pytest.mark.parametrize("at", [None, 0, 1, NOON])
async def test_a_run_that_never_was_has_no_past(any_store: Any, at: Any) -> None:
    with pytest.raises(RunNotFound):
        await travel(any_store).state_at("nobody", at)
    with pytest.raises(InvalidRunId):
        await travel(any_store).state_at("", at)


# Law 3


@ON_A_REAL_SERVER
@given(history=histories(max_events=12))
async def test_the_state_at_a_version_is_the_fold_of_that_many_events(
    store: Any, history: list[NewEvent]
) -> None:
    run_id = new_id()
    await store.append(run_id, history)
    events = await store.load(run_id)
    travels = travel(store)
    for version in range(len(events) + 1):
        expected = fold(events[:version], RunState(run_id))
        assert await travels.state_at(run_id, version) == expected


@ON_A_REAL_SERVER
@given(history=histories(max_events=12))
def test_the_state_at_a_time_is_that_of_the_last_version_by_then(
    sync_store: Any, history: list[NewEvent]
) -> None:
    run_id = new_id()
    sync_store.append(run_id, history)
    events = sync_store.load(run_id)
    travels = SyncTimeTravel(sync_store)
    for moment in {event.occurred_at for event in events}:
        state = travels.state_at(run_id, moment)
        assert state == travels.state_at(run_id, state.version)
        assert all(event.occurred_at <= moment for event in events[: state.version])
        assert all(event.occurred_at > moment for event in events[state.version :][:1])


@pytest.mark.parametrize("page", [1, 2, 3, 7])
async def test_the_past_is_whole_however_it_is_paged(
    open_any: Any, server: Any, namespace: str, page: int
) -> None:
    # given a run of several pages
    async with open_any(
        server.url, namespace=namespace, settings=Settings(page_events=page)
    ) as store:
        events = [NewEvent("run.patched", {"patch": {str(n): n}}) for n in range(1, 7)]
        await store.append("run", events)
        # when it is seen at each version / then nothing is missing or too much
        for version in range(7):
            then = await travel(store).state_at("run", version)
            assert then.state == {str(n): n for n in range(1, version + 1)}
