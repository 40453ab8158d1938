"""The processes of ``test_mixture``: they do all that ends pauses, at random, and are killed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from workers import PATIENCE_S, _die

from eventstore import (
    AlreadyResumed,
    AnswerRejected,
    NewEvent,
    OutcomeUnknown,
    PauseExpired,
    PauseNotFound,
    RunClosed,
    Settings,
    StoreUnavailable,
    SyncEventStore,
    WrongExpectedVersion,
)
from eventstore.transport.lines import BlockingLine
from pausing.ground import APPROVAL, KEY
from replay import RunContext, SyncReconciler, SyncRestorer, SyncRunControl
from replay.context import FROM_OUTSIDE

STEPS = 3
"""So many pauses each run has, one after the other."""
ACTIONS = 40
PATIENT = Settings(append_timeout_ms=20_000, retry_pause_max_ms=50)
WAITS = {"any": [{"type": "paid", "into": "paid"}], "all": [{"type": "paid"}, {"type": "stamped"}]}
WEIGHTS = {
    "resume": 4,
    "decide": 4,
    "decide_by_link": 2,
    "signal": 6,
    "expire": 2,
    "cancel": 1,
    "extend": 2,
    "restore": 5,
    "reconcile": 2,
    "abort": 0.2,
}
OVER = (AlreadyResumed, RunClosed, PauseExpired, PauseNotFound)


def terms_of(seed: int, run_id: str, step: int) -> dict[str, Any]:
    """Say how a run pauses at a step, whoever lets it."""
    chance = random.Random(f"{seed} {run_id} {step}")
    mode = chance.choice((None, "any", "all"))
    waiting = {} if mode is None else {"wait_for": WAITS[mode], "wait_mode": mode}
    return {
        "pause_id": f"p{step}",
        "state": {"step": step},
        "window": chance.choice((0, 0.05, 0.3, 3_600, None)),
        "on_expiry": chance.choice(("restore",) * 4 + ("park",) * 3 + ("fail", "abort")),
        "decision_schema": chance.choice((None, APPROVAL)),
        "wait_timeout": chance.choice((None, None, 0.1, 3_600)),
        **waiting,
    }


class Racer:
    """Acts on runs at random, and writes down what it was told, a line at a time."""

    def __init__(self, store: SyncEventStore, seed: int, name: str, journal: Path) -> None:
        self._store = store
        self._seed = seed
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._control = SyncRunControl(store, token_key=KEY)
        self._restorer = SyncRestorer(store, self.work, lease_ms=500, handover_ms=500)
        self._reconciler = SyncReconciler(store, self.work, lease_ms=500, handover_ms=500)
        self._journal = journal / name
        self._acts = 0
        self._pause_id: str | None = None

    def act(self, run_id: str) -> None:
        """Do anything that may end the run's pause, and go on with the run if it did."""
        self._acts += 1
        (kind,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        try:
            getattr(self, f"_{kind}")(run_id)
        except AlreadyResumed as lost:
            self._tell("lost", run_id, lost.pause_id, lost.cause, lost.actor)
        except (RunClosed, PauseExpired, PauseNotFound, AnswerRejected, WrongExpectedVersion):
            return
        except (StoreUnavailable, OutcomeUnknown):
            self._tell("unknown", run_id)

    @property
    def _actor(self) -> str:
        return f"{self._name}-{self._acts}"

    @property
    def _who(self) -> dict[str, Any]:
        return {"pause_id": self._pause_id, "actor": self._actor}

    def _resume(self, run_id: str) -> None:
        self.won(self._control.resume(run_id, {"by": self._actor}, **self._who))

    def _decide(self, run_id: str) -> None:
        answer = self._chance.choice(({"approved": True}, {"approved": False}, {"approved": 1}))
        self.won(self._control.decide(run_id, answer, **self._who))

    def _decide_by_link(self, run_id: str) -> None:
        token = self._control.token(run_id, self._pause_id, valid_for=60)
        answer = {"approved": True}
        self.won(self._control.decide(token=token, answer=answer, actor=self._actor))

    def _cancel(self, run_id: str) -> None:
        self.won(self._control.cancel(run_id, **self._who))

    def _signal(self, run_id: str) -> None:
        number = max(1, self._acts - self._chance.choice((0, 0, 0, 1)))  # or one that was sent
        delivery = self._control.deliver(
            ("paid", "stamped")[number % 2],
            {f"n{number % 3}": number},
            run_id=self._chance.choice((run_id, run_id, None)),
            source_id=f"{self._name}-{number}",
            patch=number % 5 == 0,
            handover_ms=self._chance.choice((1, 60_000)),
        )
        for each in delivery.runs:
            told = (each.outcome, each.event_id, each.version, each.pause_id)
            self._tell("delivered", each.run_id, f"{self._name}-{number}", *told)

    def _expire(self, run_id: str) -> None:
        expired = self._control.expire(run_id, self._pause_id)
        self._tell("expired", run_id, expired.pause_id, expired.version, expired.effect)

    def _extend(self, run_id: str) -> None:
        window = self._chance.choice((0, 0.05, 3_600, None))
        self._control.extend(run_id, window, **self._who)

    def _abort(self, run_id: str) -> None:
        self._tell("aborted", run_id, self._control.abort(run_id, actor=self._actor))

    def _restore(self, _run_id: str) -> None:
        self.restore()

    def _reconcile(self, _run_id: str) -> None:
        self.reconcile()

    def restore(self, now: datetime | None = None) -> int:
        """Do what restorers do of all that is due by then; say how much that was."""
        return self._restorer.run_once(1_000, now).scanned

    def reconcile(self, now: datetime | None = None) -> None:
        """Do what reconcilers do of all that is due by then."""
        self._reconciler.run_once(1_000, now)

    def resume_by_hand(self, run_id: str) -> None:
        """End the run's pause, if it has one, and go on with it."""
        self._acts += 1
        try:
            self._resume(run_id)
        except OVER:
            return

    def won(self, context: RunContext) -> None:
        """Go on with a run whose pause this one has ended."""
        self._tell("won", context.run_id, context.pause_id, context.cause, context.actor)
        self.work(context)

    def work(self, context: RunContext) -> None:
        """Be the worker that goes on with a run, unless another is, up to its next pause."""
        begun = NewEvent(
            "node.started",
            {
                "node_id": f"after-{context.pause_id}",
                "worker": self._name,
                "pause_id": context.pause_id,
                "state": context.state,
                "as_of": context.version,
                "restored": context.restored,
                "signals": [signal.event_id for signal in context.signals],
            },
        )
        version = self._append_alone(context.run_id, begun, context.version)
        if version is not None:
            self._tell("worked", context.run_id, version)
            self.enter(context.run_id, version, context.state["step"] + 1)

    def enter(self, run_id: str, version: int, step: int) -> None:
        """Bring a run to its next pause, or to its end."""
        if step == STEPS:
            ended = self._append_alone(run_id, NewEvent("run.completed"), version)
            if ended is not None:
                self._tell("ended", run_id, ended)
            return
        terms = terms_of(self._seed, run_id, step)
        while True:
            try:
                paused = self._control.pause(run_id, expected=version, **terms)
            except WrongExpectedVersion as moved:
                if not self._is_alone(run_id, version):
                    return
                version = moved.actual
            except RunClosed:
                return
            else:
                break
        self._tell("paused", run_id, paused.pause_id, paused.version)
        if paused.context is not None:
            self.won(paused.context)

    def _append_alone(self, run_id: str, event: NewEvent, version: int) -> int | None:
        """Append as the run's only worker; None if it is another's by now, or has ended."""
        while True:
            try:
                return self._store.append(run_id, event, expected=version).last_version
            except WrongExpectedVersion as moved:
                if not self._is_alone(run_id, version):
                    return None
                version = moved.actual
            except RunClosed:
                return None

    def _is_alone(self, run_id: str, version: int) -> bool:
        return all(e.type in FROM_OUTSIDE for e in self._store.load(run_id, after=version))

    def _tell(self, what: str, run_id: str, *more: Any) -> None:
        with self._journal.open("ab") as journal:
            journal.write(orjson.dumps([what, run_id, *more]) + b"\n")


def race(
    url: str,
    namespace: str,
    seed: int,
    name: str,
    kill_at: int,
    kind: type[Racer],
    runs: Sequence[str],
    journal: Path,
    barrier: Any,
) -> None:
    """Act on one run after the other, at about the same time as all others do."""
    with SyncEventStore.open(url, namespace=namespace, settings=PATIENT, partitions=None) as store:
        racer = kind(store, seed, name, journal)
        barrier.wait(PATIENCE_S)
        if kill_at:
            _die(BlockingLine, kill_at, ("before", "after")[kill_at % 2])
        for number in range(ACTIONS):
            racer.act(runs[number // 2 % len(runs)])
