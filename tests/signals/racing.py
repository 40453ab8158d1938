"""What the processes of the signal tests do: race for pauses, and die on purpose."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from workers import PATIENCE_S, _die, finishing

from eventstore import RunStoreError, SyncEventStore, WrongExpectedVersion
from eventstore.transport.lines import BlockingLine
from replay import RunContext, SyncRestorer, SyncRunControl

WAIT_FOR = [
    {"type": "paid", "conditions": [{"field": "order", "op": ">=", "value": 7}], "into": "paid"}
]
PAUSE = {"state": {"step": 1}, "resume_at": "next", "pause_id": "p"}


class Worker:
    """Goes on with a run that it is handed, unless another has."""

    def __init__(self, store: SyncEventStore) -> None:
        self._store = store
        self.ended: list[str] = []

    def __call__(self, context: RunContext) -> None:
        try:
            self._store.append(context.run_id, finishing(), expected=context.version)
        except (WrongExpectedVersion, RunStoreError):
            return
        self.ended.append(context.run_id)


def race(
    role: str,
    url: str,
    namespace: str,
    run_ids: Sequence[str],
    kill_at: int,
    barrier: Any,
    queue: Any,
) -> None:
    """Play a role with every run at the same time as the others; put what came of it.

    With ``kill_at``, die at that call to the server instead.
    """
    with SyncEventStore.open(url, namespace=namespace, partitions=None) as store:
        control, worker = SyncRunControl(store), Worker(store)
        shuffled = random.Random(role).sample(list(run_ids), len(run_ids))
        barrier.wait(PATIENCE_S)
        if kill_at:
            _die(BlockingLine, kill_at, "before")
        if role.startswith("webhook"):
            delivery = control.deliver("paid", {"order": 7}, source_id="hook")
            queue.put((role, [(each.run_id, each.outcome) for each in delivery.runs]))
        elif role == "restorer":
            service = SyncRestorer(store, worker, handover_ms=1)
            for _ in range(5):
                service.run_once()
            queue.put((role, worker.ended))
        else:
            queue.put((role, [_act(control, worker, role, run_id) for run_id in shuffled]))


def _act(control: SyncRunControl, worker: Worker, role: str, run_id: str) -> tuple[str, str]:
    try:
        if role == "resume":
            worker(control.resume(run_id, pause_id="p", actor="ann"))
            return run_id, "won"
        delivery = control.deliver("paid", {"order": 8}, run_id=run_id, source_id=f"by-{role}")
        return run_id, delivery.runs[0].outcome
    except RunStoreError as error:
        return run_id, type(error).__name__


def deliver_and_die(url: str, namespace: str, number: int, moment: str) -> None:
    """Deliver a webhook, and be killed right before or after a call to the server."""
    with SyncEventStore.open(url, namespace=namespace, partitions=None) as store:
        _die(BlockingLine, number, moment)
        SyncRunControl(store).deliver("paid", {"order": 7}, source_id="hook")


def pause_and_die(url: str, namespace: str, number: int, moment: str) -> None:
    """Pause a run that keeps signals, and be killed right before or after a call."""
    with SyncEventStore.open(url, namespace=namespace, partitions=None) as store:
        _die(BlockingLine, number, moment)
        pause_unless_paused(store)


def pause_unless_paused(store: SyncEventStore) -> None:
    """Do what a worker does that does not know whether its predecessor had paused the run."""
    if not [event for event in store.load("run") if event.type == "run.paused"]:
        SyncRunControl(store).pause(
            "run", window=None, on_expiry="park", wait_for=WAIT_FOR, **PAUSE
        )


def restore_and_die(url: str, namespace: str, number: int, moment: str) -> None:
    """Look after deadlines, and be killed right before or after a call to the server."""
    with SyncEventStore.open(url, namespace=namespace, partitions=None) as store:
        _die(BlockingLine, number, moment)
        service = SyncRestorer(store, Worker(store), lease_ms=1, handover_ms=1)
        for _ in range(3):
            service.run_once()
