"""Of all that want to end a pause one wins, and the others learn who did."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from proxy import Fault, Proxy
from replaying import (
    HOUR,
    appending,
    control,
    interrupted,
    pause,
    travel,
    types,
)
from workers import at_once, race_to_resume

from eventstore import (
    AlreadyResumed,
    NewEvent,
    RunClosed,
)
from replay import pausing

RACERS = 8


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
