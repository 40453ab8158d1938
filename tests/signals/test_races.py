"""Processes race for pauses by every way that ends them, and some of them are killed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from consistency import assert_consistent
from faults import eventually
from workers import PATIENCE_S, PROCESSES

from eventstore import NewEvent, SyncEventStore
from replay import SyncRestorer, SyncRunControl
from signals.laws import assert_lawful
from signals.racing import PAUSE, WAIT_FOR, Worker, race
from signals.watched import assert_indexed

RUNS = 24
WINDOWS: list[dict[str, Any]] = [
    {"window": 0, "on_expiry": "restore"},
    {"window": 0, "on_expiry": "park"},
    {"window": 3_600, "on_expiry": "park", "wait_timeout": 0},
    {"window": None, "on_expiry": "park", "wait_timeout": 0},
]


def prepare(store: SyncEventStore) -> list[str]:
    """Let runs wait for a signal, with deadlines of every kind."""
    control = SyncRunControl(store)
    run_ids = [f"run-{number}" for number in range(RUNS)]
    for number, run_id in enumerate(run_ids):
        store.append(run_id, NewEvent("run.created", {"input": number}))
        control.pause(run_id, wait_for=WAIT_FOR, **PAUSE, **WINDOWS[number % len(WINDOWS)])
    return run_ids


def start(url: str, namespace: str, run_ids: list[str], roles: dict[str, int]) -> list[Any]:
    """Let each role race in a process of its own; give what those put that lived."""
    barrier, queue = PROCESSES.Barrier(len(roles)), PROCESSES.Queue()
    processes = [
        PROCESSES.Process(target=race, args=(role, url, namespace, run_ids, at, barrier, queue))
        for role, at in roles.items()
    ]
    for process in processes:
        process.start()
    told = [queue.get(timeout=PATIENCE_S) for at in roles.values() if not at]
    for process in processes:
        process.join(PATIENCE_S)
        process.close()
    return told


def finish(store: SyncEventStore) -> None:
    """Hand on whatever still waits for a worker, or for its deadline."""
    service = SyncRestorer(store, Worker(store), lease_ms=1, handover_ms=1)
    eventually(lambda: not service.run_once().scanned)


@pytest.mark.parametrize("killed", [0, 3, 6, 9])
def test_however_many_race_each_pause_has_one_outcome_and_each_run_one_worker(
    sync_store: SyncEventStore, server: Any, namespace: str, killed: int
) -> None:
    # given runs that wait for the same webhook, and deadlines that are over
    run_ids = prepare(sync_store)
    # when six processes want to end each pause, and some die on the way
    roles = dict.fromkeys(["webhook-1", "resume", "named", "restorer"], 0)
    roles |= {"webhook-2": killed, "other": killed}
    told = start(server.url, namespace, run_ids, roles)
    # and the webhook comes again, and a restorer goes on
    SyncRunControl(sync_store).deliver("paid", {"order": 7}, source_id="hook")
    now = {run_id: sync_store.load(run_id) for run_id in run_ids}
    for run_id in run_ids:
        if [e for e in now[run_id] if e.type == "run.resumed"]:
            _let_live_contexts_go(sync_store, run_id)
    finish(sync_store)
    # then each history keeps the laws, each pause went one way, and each run has ended, once
    outcomes = Counter[str]()
    for run_id in run_ids:
        events = sync_store.load(run_id)
        assert_lawful(events)
        (resumed,) = [event for event in events if event.type == "run.resumed"]
        outcomes[resumed.data["cause"]] += 1
        assert [event.type for event in events].count("run.completed") == 1
    assert sum(outcomes.values()) == RUNS
    # and all that said they had won had won
    won = [out for role, what in told if role == "resume" for _, out in what].count("won")
    assert won == outcomes["manual"]
    assert_indexed(server, namespace, {})
    assert_consistent(server, namespace)


def _let_live_contexts_go(store: SyncEventStore, run_id: str) -> None:
    """Be the worker that held the live context of a run which a signal resumed in its window."""
    events = store.load(run_id)
    if events[-1].type != "run.completed":
        done = NewEvent("run.completed", {"output": "by the live worker"})
        store.append(run_id, done, expected=events[-1].version)
