"""What the racers of ``test_one_winner`` do: each plays a role with every run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import orjson
from workers import _die

from eventstore import (
    AlreadyResumed,
    NewEvent,
    PauseExpired,
    RunClosed,
    RunStoreError,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.transport.lines import BlockingLine
from replay import RunContext, SyncRestorer, SyncRunControl
from replay.context import FROM_OUTSIDE

ROLES = ("resume", "decide", "cancel", "expire", "signal", "restorer", "abort")
EACH_S = 0.04
"""How long after a run the next one is raced for."""


class Racer:
    """One process: it writes what came of each run to a file, a line as soon as it is known."""

    def __init__(self, store: SyncEventStore, name: str, told: Path) -> None:
        self._store = store
        self._name = name
        self._told = told.open("ab", buffering=0)
        self._control = SyncRunControl(store)
        self._sweeper = SyncRestorer(store, self._work)

    def race(self, role: str, run_id: str) -> None:
        """Play the role with one run."""
        try:
            getattr(self, f"_{role}")(run_id)
        except AlreadyResumed as lost:
            self._tell(run_id, "lost", lost.cause, lost.actor)
        except (RunClosed, PauseExpired) as lost:
            self._tell(run_id, "closed", type(lost).__name__)

    def _resume(self, run_id: str) -> None:
        self._won(self._control.resume(run_id, {"by": self._name}, actor=self._name))

    def _decide(self, run_id: str) -> None:
        self._won(self._control.decide(run_id, {"by": self._name}, actor=self._name))

    def _cancel(self, run_id: str) -> None:
        self._won(self._control.cancel(run_id, actor=self._name))

    def _expire(self, run_id: str) -> None:
        self._control.expire(run_id)

    def _abort(self, run_id: str) -> None:
        if run_id.endswith("0"):  # else nobody would see the others
            self._control.abort(run_id, actor=self._name)

    def _signal(self, run_id: str) -> None:
        self._control.deliver("paid", {}, run_id=run_id, source_id=self._name)

    def sweep(self) -> None:
        """Let what is due take its effect."""
        self._sweeper.run_once()

    def _won(self, context: RunContext) -> None:
        self._tell(context.run_id, "won", context.cause)
        self._work(context)

    def _work(self, context: RunContext) -> None:
        """Be the worker that goes on; only one can."""
        what = "worked" if go_on(self._store, context, self._name) else "fenced"
        self._tell(context.run_id, what, context.cause)

    def _tell(self, run_id: str, *what: Any) -> None:
        self._told.write(orjson.dumps([run_id, *what]) + b"\n")


def go_on(store: SyncEventStore, context: RunContext, worker: str) -> bool:
    """Append to a run that was handed over, unless another worker has; signals do not matter."""
    begun = NewEvent("node.started", {"node_id": "next", "worker": worker})
    version = context.version
    while True:
        try:
            store.append(context.run_id, begun, expected=version)
        except WrongExpectedVersion as moved:
            later = store.load(context.run_id, after=version)
            if any(event.type not in FROM_OUTSIDE for event in later):
                return False
            version = moved.actual
        except RunClosed:
            return False
        else:
            return True


def main() -> None:
    """Race for each run at its moment; begin when all are ready."""
    url, namespace, role, name, kill_at, begins, told, *run_ids = sys.argv[1:]
    with SyncEventStore.open(url, namespace=namespace) as store:
        racer = Racer(store, name, Path(told))
        if int(kill_at):
            _die(BlockingLine, int(kill_at), ("before", "after")[int(kill_at) % 2])
        for number, run_id in enumerate(run_ids):
            while time.time() < float(begins) + number * EACH_S:
                os.sched_yield()
            if role == "restorer":
                racer.sweep()
            else:
                racer.race(role, run_id)
        if role == "restorer":
            racer.sweep()


if __name__ == "__main__":
    try:
        main()
    except RunStoreError as error:
        raise SystemExit(repr(error)) from error
