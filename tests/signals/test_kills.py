"""Whoever brings, waits for or gives up on signals is killed at every step: it ends the same."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from faults import eventually
from workers import exit_code_of

from eventstore import NewEvent, SyncEventStore
from replay import SyncRestorer, SyncRunControl
from signals.laws import assert_lawful, payloads_of, watched_by
from signals.racing import (
    PAUSE,
    WAIT_FOR,
    Worker,
    deliver_and_die,
    pause_and_die,
    pause_unless_paused,
    restore_and_die,
)
from signals.watched import assert_indexed

MOMENTS = ["before", "after"]


def begun(store: SyncEventStore, *run_ids: str) -> SyncRunControl:
    """Let runs begin, and give the control of them."""
    for run_id in run_ids:
        store.append(run_id, NewEvent("run.created", {"input": 1}))
    return SyncRunControl(store)


def killed_at_every_call(
    server: Any, namespace: str, work: Any, moment: str, check: Callable[..., None], setting: Any
) -> None:
    """Set the stage, kill ``work`` at its n-th call, check; until it ends before it is killed."""
    for number in count(1):
        name = f"{namespace}-{number}"
        with SyncEventStore.open(server.url, namespace=name, partitions=2) as store:
            setting(store)
            code = exit_code_of(work, server.url, name, number, moment)
            assert code in (0, -signal.SIGKILL)
            check(store, name)
        server.forget(name)
        if code == 0:
            break
    assert number > 3, "there were too few calls to prove anything"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_webhook_whose_handler_is_killed_is_delivered_once_by_its_repetition(
    server: Any, namespace: str, moment: str
) -> None:
    names = ("one", "two", "three")

    def setting(store: SyncEventStore) -> None:
        control = begun(store, *names)
        for name in names:
            control.pause(name, window=None, on_expiry="park", wait_for=WAIT_FOR, **PAUSE)

    def check(store: SyncEventStore, namespace: str) -> None:
        for _ in range(2):
            SyncRunControl(store).deliver("paid", {"order": 7}, source_id="hook")
        for name in names:
            events = store.load(name)
            assert [event.type for event in events[2:]] == ["signal.received", "run.resumed"]
            assert assert_lawful(events).state == {"step": 1, "paid": {"order": 7}}
        assert_indexed(server, namespace, {})

    killed_at_every_call(server, namespace, deliver_and_die, moment, check, setting)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_is_killed_while_it_pauses_loses_no_signal_it_kept(
    server: Any, namespace: str, moment: str
) -> None:
    def setting(store: SyncEventStore) -> None:
        control = begun(store, "run")
        for order in (6, 7, 8):
            control.deliver("paid", {"order": order}, run_id="run")

    def check(store: SyncEventStore, namespace: str) -> None:
        pause_unless_paused(store)
        events = store.load("run")
        state = assert_lawful(events)
        assert state.state == {"step": 1, "paid": {"order": 7}}
        assert [kept.payload["order"] for kept in state.signals] == [6, 8]
        assert payloads_of(events) == [{"order": order} for order in (6, 7, 8)]
        assert_indexed(server, namespace, {})

    killed_at_every_call(server, namespace, pause_and_die, moment, check, setting)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restorer_that_is_killed_times_each_pause_out_once(
    server: Any, namespace: str, moment: str
) -> None:
    def setting(store: SyncEventStore) -> None:
        control = begun(store, "run", "parked")
        waits = {"wait_for": WAIT_FOR, "wait_timeout": 0, "on_expiry": "park", **PAUSE}
        control.pause("run", window=3_600, **waits)
        control.pause("parked", window=0, **waits)
        control.watch("run", "other", watch_id="stays")

    def check(store: SyncEventStore, namespace: str) -> None:
        service = SyncRestorer(store, Worker(store), lease_ms=50, handover_ms=50)
        eventually(lambda: _ended(store, service))
        for name in ("run", "parked"):
            events = store.load(name)
            (resumed,) = [event for event in events if event.type == "run.resumed"]
            assert resumed.data["cause"] == "timeout"
            assert watched_by(assert_lawful(events)) == 0
        assert_indexed(server, namespace, {})

    killed_at_every_call(server, namespace, restore_and_die, moment, check, setting)


def _ended(store: SyncEventStore, service: SyncRestorer) -> bool:
    service.run_once()
    return all(store.head(name).closed for name in ("run", "parked"))
