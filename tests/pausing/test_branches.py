"""Runs with several branches: each of them has a worker of its own."""

from __future__ import annotations

from typing import Any

import pytest
from replaying import HANDOVER_MS, HOUR, Workers, control, pause, restorer, server_now, timers

from eventstore import NewEvent
from eventstore.clock import to_ms
from replay.expiry import Handover, take_effect
from replay.workers import context_for

STARTED = NewEvent("node.started", {"node_id": "of a"})


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_restored_branch_is_handed_on_whatever_another_one_does(
    any_store: Any, server: Any, namespace: str, moment: str
) -> None:
    # given two branches that pause, and a worker that goes on with the first
    await pause(any_store, "run", pause_id="a", window=None, on_expiry="park")
    await pause(any_store, "run", pause_id="b", expected=2)
    await control(any_store).resume("run", pause_id="a")
    if moment == "before":
        await any_store.append("run", STARTED)
    # and a restorer that dies when the end of the other's window is recorded
    now = await server_now(any_store)
    (due,) = await any_store.due(now=now + HOUR)
    plan = take_effect(any_store.operations, due, to_ms(now + HOUR), HANDOVER_MS)
    assert isinstance(await any_store.perform(plan), Handover)
    # when the first branch's worker appends
    await any_store.append("run", STARTED)
    # then the next restorer still hands the other on, once
    workers = Workers()
    service = restorer(any_store, workers)
    for hours in (2, 4):
        await service.run_once(now=now + hours * HOUR)
    assert [context.pause_id for context in workers.contexts] == ["b"]
    assert timers(server, namespace) == []


async def test_a_restored_branch_that_is_at_its_node_is_not_handed_on_again(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a restored branch beside another, and a worker that took it just before a restorer died
    await pause(any_store, "run", pause_id="a", window=None, on_expiry="park")
    await pause(any_store, "run", pause_id="b", expected=2)
    await control(any_store).resume("run", pause_id="a")
    now = await server_now(any_store)
    (due,) = await any_store.due(now=now + HOUR)
    plan = take_effect(any_store.operations, due, to_ms(now + HOUR), HANDOVER_MS)
    assert isinstance(await any_store.perform(plan), Handover)
    await any_store.append("run", NewEvent("node.started", {"node_id": "next"}))
    # when the next restorer looks / then it leaves it alone
    await restorer(any_store, pytest.fail).run_once(now=now + 2 * HOUR)
    assert timers(server, namespace) == []


async def test_a_branch_comes_again_to_a_group_of_workers_though_another_one_pauses(
    any_store: Any,
) -> None:
    # given two branches, of which one goes on by a signal, and the other pauses once more
    await pause(any_store, "run", pause_id="a", window=None, on_expiry="park")
    waiting = {"wait_for": [{"type": "paid"}], "window": None}
    await pause(any_store, "run", pause_id="b", expected=2, **waiting)
    await control(any_store).resume("run", pause_id="a")
    await control(any_store).deliver("paid", run_id="run")
    resumed = (await any_store.load("run"))[-1]
    await pause(any_store, "run", pause_id="a again", expected=resumed.version, window=None)
    # when it comes to a worker for the second time / then it is there to go on with
    events = await any_store.load("run")
    context = context_for(resumed, events, is_repeat=True)
    assert context is not None
    assert (context.pause_id, context.cause) == ("b", "signal")
    # but when it pauses itself, it waits
    await pause(any_store, "run", pause_id="b", expected=events[-1].version, window=None)
    assert context_for(resumed, await any_store.load("run"), is_repeat=True) is None
