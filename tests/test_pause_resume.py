"""A run waits and goes on: what is recorded, who wins, and what is refused."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest
from consistency import assert_consistent
from proxy import Fault, Proxy
from replaying import (
    HOUR,
    MS,
    appending,
    begin,
    control,
    interrupted,
    pause,
    restorer,
    server_now,
    timers,
    travel,
    types,
)
from workers import at_once, race_to_resume

from eventstore import (
    AlreadyResumed,
    InvalidArgument,
    InvalidEvent,
    NewEvent,
    PauseNotFound,
    RunClosed,
    RunNotFound,
    WrongExpectedVersion,
)
from eventstore.clock import to_ms
from replay import pausing

RACERS = 8
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


# What is refused, with nothing written


@pytest.mark.parametrize(
    "window",
    [
        -1,
        -0.001,
        timedelta(seconds=-1),
        CENTURY + timedelta(milliseconds=1),
        CENTURY.total_seconds() + 1,
        timedelta.max,
        10**400,
        math.nan,
        math.inf,
        -math.inf,
        True,
        "60",
        [60],
        1j,
    ],
)
async def test_a_window_that_cannot_be_is_refused(window: Any) -> None:
    with pytest.raises(InvalidArgument, match="window"):
        pausing.window_in_ms(window)


@pytest.mark.parametrize(
    "bad",
    [
        {"window": -1},
        {"window": CENTURY + HOUR},
        {"window": math.nan},
        {"window": True},
        {"on_expiry": "explode"},
        {"on_expiry": None},
        {"state": ["no", "object"]},
        {"state": None},
        {"state": {1: "key"}},
        {"state": {"at": math.nan}},
        {"state": {"raw": b"bytes"}},
        {"pause_id": ""},
        {"pause_id": "p" * 201},
        {"pause_id": 5},
        {"node_id": ""},
        {"meta": ["no", "object"]},
        {"resume_at": object()},
    ],
    ids=lambda bad: "-".join(f"{name}={str(value)[:9]}" for name, value in bad.items()),
)
async def test_a_pause_that_cannot_be_is_refused(
    any_store: Any, server: Any, namespace: str, bad: dict[str, Any]
) -> None:
    await begin(any_store, "run")
    with pytest.raises(InvalidArgument):
        await pause(any_store, "run", expected=None, **bad)
    assert (await any_store.head("run")).version == 1
    assert timers(server, namespace) == []


@pytest.mark.parametrize("patch", [[], [1], "text", "", 0, False, 1.5, {1: 2}, {"n": math.nan}])
async def test_a_patch_must_be_an_object(any_store: Any, patch: Any) -> None:
    await pause(any_store, "run")
    with pytest.raises(InvalidEvent):
        await control(any_store).resume("run", patch)
    assert (await any_store.head("run")).version == 2


@pytest.mark.parametrize("bad", [{"cause": "magic"}, {"cause": None}, {"actor": 5}])
async def test_a_resume_must_say_a_known_cause_and_who(any_store: Any, bad: dict[str, Any]) -> None:
    await pause(any_store, "run")
    with pytest.raises(InvalidEvent):
        await control(any_store).resume("run", **bad)
    assert (await any_store.head("run")).version == 2


async def test_only_a_run_that_exists_can_pause(any_store: Any) -> None:
    with pytest.raises(WrongExpectedVersion):
        await pause(any_store, "nobody", expected=None)
    with pytest.raises(RunNotFound):
        await any_store.head("nobody")


async def test_a_pause_can_ask_for_the_exact_version(any_store: Any) -> None:
    await begin(any_store, "run")
    with pytest.raises(WrongExpectedVersion):
        await pause(any_store, "run", expected=2)
    assert (await pause(any_store, "run", expected=1)).version == 2


async def test_a_run_without_pauses_cannot_be_resumed(any_store: Any) -> None:
    await begin(any_store, "run")
    with pytest.raises(PauseNotFound):
        await control(any_store).resume("run")
    with pytest.raises(RunNotFound):
        await control(any_store).resume("nobody")


@pytest.mark.parametrize("pause_id", ["q", "", "P"])
async def test_an_unknown_pause_is_not_found(any_store: Any, pause_id: str) -> None:
    await pause(any_store, "run")
    with pytest.raises(PauseNotFound) as error:
        await control(any_store).resume("run", pause_id=pause_id)
    assert error.value.pause_id == pause_id
    assert error.value.open_pauses == ("p",)


@pytest.mark.parametrize("pause_id", [None, "p"])
async def test_who_comes_second_learns_who_was_first(any_store: Any, pause_id: str | None) -> None:
    # given a run that ann resumed
    await pause(any_store, "run")
    await control(any_store).resume("run", cause="decision", actor="ann")
    # when bob resumes it / then he learns of ann, and nothing is written
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).resume("run", pause_id=pause_id, actor="bob")
    assert (error.value.run_id, error.value.pause_id) == ("run", "p")
    assert (error.value.cause, error.value.actor) == ("decision", "ann")
    assert "'ann'" in str(error.value)
    assert (await any_store.head("run")).version == 5


async def test_whom_a_restorer_beat_learns_that(any_store: Any) -> None:
    await pause(any_store, "run")
    await restorer(any_store, lambda _: None).run_once()
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).resume("run")
    assert (error.value.cause, error.value.actor) == ("window_expired", None)


@pytest.mark.parametrize("end", ["run.completed", "run.failed", "run.aborted"])
async def test_a_closed_run_neither_pauses_nor_resumes(any_store: Any, end: str) -> None:
    await pause(any_store, "run")
    error = {"error": {"type": "E", "message": "m"}} if end == "run.failed" else {}
    await any_store.append("run", NewEvent(end, error))
    with pytest.raises(RunClosed):
        await control(any_store).resume("run", pause_id="p")
    with pytest.raises(RunClosed):
        await pause(any_store, "run", pause_id="q", expected=None)
    assert (await any_store.head("run")).version == 3


# Who wins


@pytest.mark.parametrize("window", [0, 3600])
async def test_one_wins_among_racing_tasks_or_threads(any_store: Any, window: int) -> None:
    # given a run that waits
    await pause(any_store, "run", window=window)
    # when eight resume it at once, as tasks of one store or threads of one
    outcomes = await asyncio.gather(
        *(control(any_store).resume("run", {"by": n}, actor=f"a{n}") for n in range(RACERS)),
        return_exceptions=True,
    )
    # then one has a context, and all the others know its name
    (winner,) = (each for each in outcomes if not isinstance(each, BaseException))
    losers = [each for each in outcomes if each is not winner]
    assert all(isinstance(each, AlreadyResumed) for each in losers)
    assert {each.actor for each in losers} == {winner.actor}
    assert types(await any_store.load("run")).count("run.resumed") == 1
    assert (await travel(any_store).state_at("run")).state["by"] == int(winner.actor[1:])


async def test_one_wins_among_racing_processes(
    sync_store: Any, store: Any, server: Any, namespace: str
) -> None:
    # given runs that wait, half of them beyond their window
    runs = [f"run-{number}" for number in range(6)]
    for number, run_id in enumerate(runs):
        await pause(store, run_id, window=number % 2 * 3600)
    # when eight processes of both forms resume each of them at the same moment
    racers = [
        (("asyncio", "sync")[number % 2], server.url, namespace, runs, f"actor-{number}")
        for number in range(RACERS)
    ]
    outcomes = await asyncio.to_thread(at_once, race_to_resume, racers)
    # then each run has one winner, whose name the others know
    for number, run_id in enumerate(runs):
        told = [(how, what) for each in outcomes for run, how, what in each if run == run_id]
        (winner,) = (what for how, what in told if how == "won")
        assert {what.actor for how, what in told if how == "lost"} == {winner.actor}
        assert len(told) == RACERS
        events = await store.load(run_id)
        assert events[-1].version == winner.version == (3 if number % 2 else 5)
        assert types(events).count("run.resumed") == 1


@pytest.mark.parametrize("number", range(1, 5))
async def test_a_rival_between_any_two_steps_leaves_one_winner(any_store: Any, number: int) -> None:
    # given a run beyond its window
    await pause(any_store, "run")
    operations = any_store.operations

    def resume(actor: str) -> Any:
        return pausing.resume(operations, "run", {"by": actor}, None, "manual", actor)

    # when another resumes it right before any step of a resume
    own, rival = await any_store.perform(interrupted(resume("ann"), number, resume("bob")))
    # then one goes on, and the other is told; past the last step there is no rival left
    if rival is None:
        assert number == 4, "a resume is a load, the time and an append"
        assert own.actor == "ann"
    else:
        assert isinstance(own, AlreadyResumed)
        assert (own.actor, rival.actor) == ("bob", "bob")
    assert types(await any_store.load("run")).count("run.resumed") == 1


async def test_what_happens_to_the_run_meanwhile_is_in_the_context(any_store: Any) -> None:
    # given a run that waits
    await pause(any_store, "run", window=HOUR)
    # when something is appended between a resume's reading and its append
    resume = pausing.resume(any_store.operations, "run", {"a": 1}, None, "manual", None)
    patch = appending("run", NewEvent("run.patched", {"patch": {"late": True}}))
    context, _ = await any_store.perform(interrupted(resume, 3, patch))
    # then the resume decides anew and misses nothing
    assert context.state == {"step": 1, "late": True, "a": 1}
    assert context.version == 4


async def test_a_run_that_ends_meanwhile_is_not_resumed(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    resume = pausing.resume(any_store.operations, "run", None, None, "manual", None)
    end = appending("run", NewEvent("run.completed"))
    outcome, _ = await any_store.perform(interrupted(resume, 3, end))
    assert isinstance(outcome, RunClosed)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.TEAR_REPLY, Fault.LOSE_CALL])
async def test_a_resume_whose_reply_is_lost_still_wins_once(
    open_any: Any, server: Any, namespace: str, fault: Fault
) -> None:
    with Proxy(server.url) as proxy:
        async with open_any(proxy.url, namespace=namespace) as store:
            await pause(store, "run", window=0)
            # given a line that breaks at the resume's append
            proxy.lose(fault, [1])
            # when a worker resumes
            context = await control(store).resume("run", actor="ann")
            # then it has won, and nothing is doubled
            assert proxy.faults == 1
            assert (context.version, context.actor) == (5, "ann")
            assert types(await store.load("run")).count("run.resumed") == 1


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
