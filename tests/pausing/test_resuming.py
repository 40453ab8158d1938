"""A run waits and goes on: what is recorded, and what the one who goes on gets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from consistency import assert_consistent
from replaying import (
    HOUR,
    MS,
    begin,
    control,
    pause,
    restorer,
    server_now,
    timers,
    travel,
    types,
)

from eventstore import (
    InvalidArgument,
    NewEvent,
    PauseNotFound,
    WrongExpectedVersion,
)
from eventstore.clock import to_ms
from replay import pausing

CENTURY = timedelta(days=100 * 366)


# What is recorded


async def test_a_pause_records_its_checkpoint_and_sets_its_timer(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run
    await begin(any_store, "run")
    # when it pauses for an hour
    paused = await control(any_store).pause(
        "run",
        state={"draft": ["a"], "n": 1},
        resume_at={"node": "publish"},
        window=HOUR,
        on_expiry="park",
        node_id="review",
        reason="approval",
        meta={"actor": "ann"},
    )
    # then the event holds all of it, and the window's end is an hour after it was recorded
    _, event = await any_store.load("run")
    assert event.type == "run.paused"
    assert event.version == paused.version == 2
    assert event.meta == {"actor": "ann"}
    assert event.data == {
        "pause_id": paused.pause_id,
        "window_ms": 3_600_000,
        "state": {"draft": ["a"], "n": 1},
        "resume_at": {"node": "publish"},
        "on_expiry": "park",
        "node_id": "review",
        "reason": "approval",
    }
    assert paused.expires_at == event.recorded_at + HOUR
    assert timers(server, namespace) == [f"window|run|{paused.pause_id}"]
    (due,) = await any_store.due(now=paused.expires_at)
    assert due.due_ms == to_ms(paused.expires_at)
    state = await travel(any_store).state_at("run")
    assert (state.status, state.state) == ("paused", {"draft": ["a"], "n": 1})


async def test_a_resume_inside_the_window_goes_on_with_the_live_context(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run that waits for another hour
    await pause(any_store, "run", window=HOUR, node_id="review")
    # when somebody resumes it
    context = await control(any_store).resume("run", {"answer": "yes"}, actor="ann")
    # then that is one event, the timer is gone, and the context is the state with the patch
    assert types(await any_store.load("run"))[2:] == ["run.resumed"]
    assert timers(server, namespace) == []
    assert context.state == {"step": 1, "answer": "yes"}
    assert (context.run_id, context.version, context.workflow_id) == ("run", 3, "intake")
    assert (context.pause_id, context.cause, context.actor) == ("p", "manual", "ann")
    assert (context.resume_at, context.node_id, context.input) == ("next", "review", 7)
    assert not context.restored


async def test_a_resume_after_the_window_restores_in_one_append(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run whose window is over, and that nobody dealt with
    await pause(any_store, "run", window=0)
    # when somebody resumes it
    context = await control(any_store).resume("run", {"answer": "yes"}, cause="decision")
    # then the window's end, the restore and the resume are recorded in this order, together
    events = await any_store.load("run")
    assert types(events)[2:] == ["run.window_expired", "run.restored", "run.resumed"]
    assert events[3].data == {"pause_id": "p", "checkpoint_version": 2}
    runs = await asyncio.to_thread(assert_consistent, server, namespace)
    assert len({entry.append_id for entry in runs["run"][2:]}) == 1
    assert context.restored
    assert context.version == 5
    assert context.state == {"step": 1, "answer": "yes"}
    assert timers(server, namespace) == []


@pytest.mark.parametrize("on_expiry", ["restore", "park", "fail", "abort"])
async def test_a_late_resume_wins_over_what_the_window_would_have_caused(
    any_store: Any, on_expiry: str
) -> None:
    # given a window that is over, while no restorer ran
    await pause(any_store, "run", window=0, on_expiry=on_expiry)
    # when somebody resumes
    context = await control(any_store).resume("run")
    # then the run goes on, restored, and a restorer finds nothing to do
    assert context.restored
    counts = await restorer(any_store, pytest.fail).run_once(now=await server_now(any_store) + HOUR)
    assert counts.due == 0


async def test_the_context_of_a_resume_is_what_a_reader_finds(any_store: Any) -> None:
    # given a run that paused, and to which something happened while it waited
    await pause(any_store, "run", window=0)
    await any_store.append("run", NewEvent("run.patched", {"patch": {"seen": 1}}))
    # when it is resumed
    context = await control(any_store).resume("run", {"answer": "yes"})
    # then what is read back agrees with what the resume gave
    state = await travel(any_store).state_at("run")
    assert state.version == context.version
    assert state.state == context.state == {"step": 1, "seen": 1, "answer": "yes"}
    assert state.status == "running"


async def test_a_context_is_a_fence(any_store: Any) -> None:
    # given a worker that got a run, and somebody who appended since
    await pause(any_store, "run")
    context = await control(any_store).resume("run")
    await any_store.append("run", NewEvent("node.started", {"node_id": "other"}))
    # when the worker appends as of its context / then it is told that the run moved on
    with pytest.raises(WrongExpectedVersion):
        await any_store.append("run", NewEvent("x.y"), expected=context.version)


async def test_several_open_pauses_are_told_apart_by_their_ids(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run with three open pauses
    await pause(any_store, "run", pause_id="a", resume_at="A", window=HOUR)
    for name in ("b", "c"):
        await pause(
            any_store, "run", pause_id=name, resume_at=name.upper(), window=HOUR, expected=None
        )
    resume = control(any_store).resume
    # when no id is given / then none is guessed, and the error lists what is open
    with pytest.raises(PauseNotFound) as unclear:
        await resume("run")
    assert unclear.value.open_pauses == ("a", "b", "c")
    # when they are resumed by id / then each goes on at its place, and the run only after the last
    assert (await resume("run", {"by": "b"}, pause_id="b")).resume_at == "B"
    assert (await travel(any_store).state_at("run")).status == "paused"
    assert timers(server, namespace) == ["window|run|a", "window|run|c"]
    assert (await resume("run", pause_id="a")).resume_at == "A"
    assert (await resume("run")).resume_at == "C"
    state = await travel(any_store).state_at("run")
    assert (state.status, state.state) == ("running", {"step": 1, "by": "b"})


async def test_branches_that_wait_side_by_side_go_on_from_their_own_checkpoints(
    any_store: Any,
) -> None:
    # given two branches that wait, each with a state of its own, and a patch for the run
    await pause(any_store, "run", pause_id="a", state={"branch": "a"}, window=HOUR)
    await pause(any_store, "run", pause_id="b", state={"branch": "b"}, window=0, expected=None)
    await any_store.append("run", NewEvent("run.patched", {"patch": {"late": 1}}))
    # when they are resumed / then each has its checkpoint and all later patches
    first = await control(any_store).resume("run", {"by": "ann"}, pause_id="a")
    second = await control(any_store).resume("run", pause_id="b")
    assert first.state == {"branch": "a", "late": 1, "by": "ann"}
    assert second.state == {"branch": "b", "late": 1, "by": "ann"}


async def test_only_restorers_say_that_a_window_expired(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    with pytest.raises(InvalidArgument):
        await control(any_store).resume("run", cause="window_expired")


async def test_a_pause_id_may_be_used_again_once_it_is_over(any_store: Any) -> None:
    # given a run that paused, went on, and paused under the same id
    await pause(any_store, "run", state={"round": 1}, window=HOUR)
    await control(any_store).resume("run")
    await pause(any_store, "run", state={"round": 2}, window=0, expected=3)
    # when it is resumed / then the second pause is meant
    context = await control(any_store).resume("run", pause_id="p")
    assert (context.state, context.restored) == ({"round": 2}, True)


async def test_ids_with_separators_stay_whole(any_store: Any, server: Any, namespace: str) -> None:
    # given ids that hold what names of timers are made of
    run_id, pause_id = "a|b%7Cc{}*", "p|q%|"
    paused = await pause(any_store, run_id, pause_id=pause_id, window=1)
    # when its window ends
    handed: list[Any] = []
    await restorer(any_store, handed.append).run_once(now=paused.expires_at)
    # then it is that run's, and nothing of it is left
    assert [(each.run_id, each.pause_id) for each in handed] == [(run_id, pause_id)]
    assert timers(server, namespace) == []


# Windows


@pytest.mark.parametrize(
    ("window", "window_ms"),
    [
        (0, 0),
        (timedelta(0), 0),
        (0.001, 1),
        (1.5, 1_500),
        (timedelta(microseconds=1_400), 1),
        (timedelta(days=365), 365 * 86_400_000),
        (CENTURY, 100 * 366 * 86_400_000),
        (CENTURY.total_seconds(), 100 * 366 * 86_400_000),
    ],
)
def test_a_window_is_kept_in_milliseconds(window: Any, window_ms: int) -> None:
    assert pausing.window_in_ms(window) == window_ms


async def test_a_window_of_zero_is_over_at_once(any_store: Any) -> None:
    paused = await pause(any_store, "run", window=0)
    assert paused.expires_at == (await any_store.load("run"))[-1].recorded_at
    assert (await restorer(any_store, lambda _: None).run_once()).restored == 1


async def test_a_window_without_end_has_no_timer(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a run that waits as long as it takes
    paused = await pause(any_store, "run", window=None)
    assert paused.expires_at is None
    # when a century goes by / then nothing is due
    assert timers(server, namespace) == []
    much_later = await server_now(any_store) + CENTURY
    assert (await restorer(any_store, pytest.fail).run_once(now=much_later)).due == 0
    # and it is resumed with its live context
    assert not (await control(any_store).resume("run")).restored


async def test_a_resume_counts_as_in_time_until_the_windows_end(any_store: Any) -> None:
    # given two pauses by events of the past: one window ended a moment ago, one ends in an hour
    now = await server_now(any_store)
    for run_id, ends in (("over", now - MS), ("open", now + HOUR)):
        data = {
            "pause_id": "p",
            "state": {},
            "window_ms": 86_400_000,
            "on_expiry": "restore",
        }
        await begin(
            any_store, run_id, NewEvent("run.paused", data, occurred_at=ends - timedelta(days=1))
        )
    # when both are resumed / then only the first is restored
    assert (await control(any_store).resume("over")).restored
    assert not (await control(any_store).resume("open")).restored
