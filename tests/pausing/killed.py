"""Pauses, changes and recoveries in processes that are killed at the first, the second, … step.

A step is an exchange with the server, before it and after it. Run with what to do and the
server's URL; prints at how many steps it was killed until one run was clean.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from replaying import HOUR, timeless
from workers import finishing

from eventstore import (
    AlreadyResumed,
    NewEvent,
    PauseExpired,
    RunClosed,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.plan import single
from eventstore.transport.lines import BlockingLine
from pausing.ground import STALL_MS
from replay import RunContext, SyncReconciler, SyncRestorer, SyncRunControl

STATE = {"n": 1}


def survives(action: Callable[[], object], kill_at: int) -> bool:
    """Do something in a child process that dies at its ``kill_at``-th step; 0 is never."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), f"the process ended with {status}"
        return status == 0
    steps, exchange = itertools.count(1), BlockingLine.exchange

    def step() -> None:
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self: BlockingLine, *arguments: Any, **options: Any) -> Any:
        step()  # nothing was sent
        replies = exchange(self, *arguments, **options)
        step()  # it was done, and nobody was told
        return replies

    BlockingLine.exchange = counted  # type: ignore[method-assign]
    try:
        action()
    except BaseException as error:  # noqa: BLE001 - a child must not go on as the test
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def opened(url: str) -> SyncEventStore:
    return SyncEventStore.open(url, namespace="runs", partitions=2)


def begin(store: SyncEventStore, run_id: str, *, window: Any = None, pauses: bool = True) -> None:
    created = {"input": 7, "options": {"stall_after_ms": STALL_MS}}
    store.append(run_id, NewEvent("run.created", created))
    if pauses:
        control = SyncRunControl(store)
        control.pause(run_id, state=STATE, window=window, on_expiry="restore", pause_id="p")


def pause(store: SyncEventStore, run_id: str) -> None:
    control = SyncRunControl(store)
    with suppress(WrongExpectedVersion):  # an earlier life has paused it
        control.pause(run_id, state=STATE, window=3600, on_expiry="park", pause_id="p", expected=1)


def extend(store: SyncEventStore, run_id: str) -> None:
    if store.head(run_id).version == 2:  # else an earlier life has extended it
        SyncRunControl(store).extend(run_id, timedelta(days=9))


def expire(store: SyncEventStore, run_id: str) -> None:
    with suppress(AlreadyResumed, PauseExpired, RunClosed):  # an earlier life did it
        SyncRunControl(store).expire(run_id)
    restore(store, run_id)


def resume(store: SyncEventStore, run_id: str) -> None:
    context = SyncRunControl(store).resume(run_id, {"by": "ann"}, attempt_id=f"try-{run_id}")
    _work(store)(context)


def decide(store: SyncEventStore, run_id: str) -> None:
    control = SyncRunControl(store)
    context = control.decide(run_id, {"approved": True}, attempt_id=f"try-{run_id}")
    _work(store)(context)


def cancel(store: SyncEventStore, run_id: str) -> None:
    context = SyncRunControl(store).cancel(run_id, attempt_id=f"try-{run_id}")
    _work(store)(context)


def restore(store: SyncEventStore, _run_id: str) -> None:
    SyncRestorer(store, _work(store)).run_once(now=_later(store))


def recover(store: SyncEventStore, _run_id: str) -> None:
    SyncReconciler(store, _work(store)).run_once(now=_later(store))


def _later(store: SyncEventStore) -> Any:
    LIVES[0] += 1
    return from_ms(store.perform(single(server_time()))) + LIVES[0] * HOUR


LIVES = [0]


def _work(store: SyncEventStore) -> Callable[[RunContext], None]:
    def work(context: RunContext) -> None:
        with suppress(WrongExpectedVersion, RunClosed):  # an earlier life has done it
            store.append(context.run_id, finishing(), expected=context.version)

    return work


ACTIONS: dict[str, tuple[Callable[[SyncEventStore, str], None], dict[str, Any]]] = {
    "pause": (pause, {"pauses": False}),
    "extend": (extend, {"window": 3600}),
    "expire": (expire, {"window": 3600}),
    "resume": (resume, {"window": 0}),
    "decide": (decide, {"window": 3600}),
    "cancel": (cancel, {"window": 3600}),
    "restore": (restore, {"window": 0}),
    "recover": (recover, {"pauses": False}),
}


def killed_at_every_step(url: str, what: str) -> int:
    action, given = ACTIONS[what]
    with opened(url) as store:
        begin(store, "twin", **given)
        action(store, "twin")
        twin = store.load("twin")
    for kill_at in itertools.count(1):
        run_id = f"run-{kill_at}"
        with opened(url) as store:
            begin(store, run_id, **given)

        def act(run_id: str = run_id) -> None:
            with opened(url) as store:
                action(store, run_id)

        survived = survives(act, kill_at)
        LIVES[0] += 1  # what the one that was killed had in hand is due again
        with opened(url) as store:
            action(store, run_id)
            events = store.load(run_id)
        told = [(event.type, event.data) for event in events]
        assert told == [(event.type, event.data) for event in twin], (kill_at, told)
        assert timeless(events) == timeless(twin), kill_at
        if survived:
            return kill_at
    raise AssertionError


if __name__ == "__main__":
    print(killed_at_every_step(*sys.argv[1:]))  # noqa: T201 - read by the test
