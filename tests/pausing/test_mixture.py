"""Resumes, answers, signals, deadlines and deaths in many processes: one outcome, one worker.

``RUNSTORE_LAW_SEED`` repeats a course, ``RUNSTORE_LAW_COURSES`` asks for more of them.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from consistency import assert_consistent
from faults import eventually
from replaying import HOUR
from servers import AnyServer, Server
from signals.watched import assert_indexed
from workers import PATIENCE_S, PROCESSES

from eventstore import NewEvent, SyncEventStore
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.plan import single
from pausing.mixture import PATIENT, Racer, race
from pausing.mixture_laws import Told, assert_handed_on, assert_one_winner, read_journals

COURSES = int(os.environ.get("RUNSTORE_LAW_COURSES", "2"))
RUNS = 6
ENOUGH_SWEEPS = 100


def seed_of(number: int) -> int:
    """Choose a seed, or take the one that is to be repeated."""
    given = os.environ.get("RUNSTORE_LAW_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**9) + number


class Course:
    """Runs that pause again and again, and those who race for them."""

    racers: type[Racer] = Racer
    stalls_ms: tuple[int, ...] = (300, 3_600_000)

    def __init__(self, server: AnyServer, namespace: str, folder: Path, number: int) -> None:
        self._server = server
        self._namespace = namespace
        self._journal = folder
        self._seed = seed_of(number)
        self._runs = [f"run-{each}" for each in range(RUNS)]
        self._chance = random.Random(self._seed)
        self._survivors = {"parent"}
        print(f"to repeat: RUNSTORE_LAW_SEED={self._seed}")  # noqa: T201 - shown with a failure

    def begin(self, store: SyncEventStore) -> Racer:
        """Let the runs come to their first pause, some with signals that came before."""
        racer = self.racers(store, self._seed, "parent", self._journal)
        for run_id in self._runs:
            options = {"stall_after_ms": self._chance.choice(self.stalls_ms)}
            store.append(run_id, NewEvent("run.created", {"options": options}))
            for _ in range(self._chance.choice((0, 0, 1, 2))):
                store.append(run_id, NewEvent("signal.received", {"type": "paid", "payload": {}}))
            racer.enter(run_id, store.head(run_id).version, 0)
        return racer

    def race(self, server_dies: bool) -> None:
        """Let two to eight processes race, some until they are killed."""
        number = self._chance.randint(2, 8)
        barrier = PROCESSES.Barrier(number)
        racers = []
        for each in range(number):
            kill_at = self._chance.choice((0, 0, self._chance.randint(1, 150)))
            words = (self._server.url, self._namespace, self._seed, f"racer-{each}", kill_at)
            args = (*words, self.racers, self._runs, self._journal, barrier)
            racers.append(PROCESSES.Process(target=race, args=args))
        for racer in racers:
            racer.start()
        if server_dies:
            self._kill_the_server(racers)
        for racer in racers:
            racer.join(PATIENCE_S)
            assert racer.exitcode in (0, -signal.SIGKILL)
        self._survivors |= {f"racer-{n}" for n, racer in enumerate(racers) if racer.exitcode == 0}

    def _kill_the_server(self, racers: list[Any]) -> None:
        assert isinstance(self._server, Server)
        for enough in (RUNS + 3, 25):

            def told(enough: int = enough) -> bool:
                lines = sum(path.read_bytes().count(b"\n") for path in self._journal.iterdir())
                return lines >= enough or not any(racer.is_alive() for racer in racers)

            eventually(told, PATIENCE_S)
            self._server.restart()

    def end(self, store: SyncEventStore, racer: Racer) -> None:
        """Let what is due be done, and nobody be forgotten, until each run has ended."""
        now = from_ms(store.perform(single(server_time())))
        for turn in range(1, ENOUGH_SWEEPS):
            if racer.restore(now + 2 * turn * HOUR):
                continue
            waiting = [run_id for run_id in self._runs if not store.head(run_id).closed]
            if not waiting:
                return
            for run_id in waiting:
                assert_handed_on(store.load(run_id))
            racer.reconcile(now + 2 * turn * HOUR)
            racer.resume_by_hand(waiting[0])
        raise AssertionError(f"these were forgotten: {waiting}")

    def sure(self, told: Told) -> set[str]:
        """Give the names of those that were neither killed nor left in doubt."""
        unsure = {name for lines in told.values() for name, what, _ in lines if what == "unknown"}
        return self._survivors - unsure

    def check(self, store: SyncEventStore) -> None:
        """Check the laws."""
        told = read_journals(self._journal)
        for run_id in self._runs:
            assert_one_winner(store.load(run_id), told[run_id], self.sure(told))
        assert_indexed(self._server, self._namespace, {})
        assert_consistent(self._server, self._namespace)

    def go(self, *, server_dies: bool) -> None:
        """Go from beginning to end."""
        with SyncEventStore.open(
            self._server.url, namespace=self._namespace, settings=PATIENT, partitions=2
        ) as store:
            racer = self.begin(store)
            self.race(server_dies)
            self.end(store, racer)
            self.check(store)


@pytest.mark.parametrize("number", range(COURSES))
def test_whatever_races_for_a_pause_it_has_one_outcome_and_one_worker_goes_on(
    server: AnyServer, namespace: str, tmp_path: Path, number: int
) -> None:
    Course(server, namespace, tmp_path, number).go(server_dies=False)


@pytest.mark.parametrize("number", range((COURSES + 1) // 2))
def test_it_has_when_the_server_is_killed_meanwhile(
    own_server: Server, namespace: str, tmp_path: Path, number: int
) -> None:
    Course(own_server, namespace, tmp_path, number).go(server_dies=True)
