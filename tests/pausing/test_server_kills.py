"""The server is killed at any step of a change, and comes back: it ends as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from consistency import assert_consistent
from replaying import timeless
from servers import Server

from eventstore.transport.failures import ConnectionLost
from eventstore.transport.lines import BlockingLine
from pausing.killed import ACTIONS, LIVES, begin, opened

SWEPT = ("expire", "restore", "recover")
"""Where a timer was taken and nobody was told, it is due again when its lease is over."""


@contextmanager
def killed_at(server: Server, step: int) -> Iterator[count[int]]:
    """Kill and start the server at the so-manieth step: before an exchange, or after it.

    After it means that the server had done all, and nobody was told. Gives the count of steps.
    """
    steps, exchange = count(1), BlockingLine.exchange

    def exchanged(self: BlockingLine, *arguments: Any, **options: Any) -> Any:
        if next(steps) == step:
            server.restart()
        replies = exchange(self, *arguments, **options)
        if next(steps) == step:
            server.restart()
            raise ConnectionLost(ConnectionError("killed"), sent=True)
        return replies

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockingLine, "exchange", exchanged)
        yield steps


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ACTIONS)
def test_a_server_killed_at_any_step_costs_nothing(own_server: Server, what: str) -> None:
    action, given = ACTIONS[what]
    with opened(own_server.url) as store:
        # given what becomes of a run where nothing is killed
        begin(store, "twin", **given)
        action(store, "twin")
        twin = store.load("twin")
        for step in count(1):
            # when the server is killed at the next step
            run_id = f"run-{step}"
            begin(store, run_id, **given)
            with killed_at(own_server, step) as steps:
                action(store, run_id)
            if what in SWEPT:
                LIVES[0] += 1
                action(store, run_id)
            # then the caller need not know
            events = store.load(run_id)
            assert [(e.type, e.data) for e in events] == [(e.type, e.data) for e in twin], step
            assert timeless(events) == timeless(twin)
            if next(steps) <= step:
                break
    assert step > 2, "there were too few steps to prove anything"
    assert_consistent(own_server, "runs")
