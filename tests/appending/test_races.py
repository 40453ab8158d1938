"""Many at once: processes that race for versions, tasks and threads that travel together."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from consistency import assert_consistent
from faults import run_python
from samples import noted, notes
from servers import AnyServer

from eventstore import EventStore, Settings, SyncEventStore

PROCESSES, RUNS, ROUNDS = 16, 100, 3

RACE = """
import asyncio, json, os, random, sys
from pathlib import Path
from eventstore import EventStore, NewEvent, SyncEventStore, WrongExpectedVersion

url, namespace, folder, processes, runs, rounds = sys.argv[1:]
RUNS = [f"run-{number}" for number in range(int(runs))]

class Racer:
    def __init__(self, number):
        self.number, self.known = number, dict.fromkeys(RUNS, 0)
        self.won, self.lost = [], []

    def events(self):
        return [NewEvent("step.taken", {"by": self.number}) for _ in range(random.randint(1, 3))]

    def note(self, run, expected, events, outcome):
        if isinstance(outcome, WrongExpectedVersion):
            self.lost.append([run, outcome.run_id, expected, outcome.expected, outcome.actual])
            self.known[run] = outcome.actual
        else:
            self.won.append([run, outcome.first_version, [event.id for event in events],
                             [str(position) for position in outcome.positions]])
            self.known[run] = outcome.last_version

    def race(self):
        with SyncEventStore.open(url, namespace=namespace) as store:
            for run in RUNS * int(rounds):
                expected, events = self.known[run], self.events()
                try:
                    outcome = store.append(run, events, expected=expected)
                except WrongExpectedVersion as error:
                    outcome = error
                self.note(run, expected, events, outcome)

    async def race_in_tasks(self):
        async with EventStore.open(url, namespace=namespace) as store:
            for _ in range(int(rounds)):
                await asyncio.gather(*(self.attempt(store, run) for run in RUNS))

    async def attempt(self, store, run):
        expected, events = self.known[run], self.events()
        try:
            outcome = await store.append(run, events, expected=expected)
        except WrongExpectedVersion as error:
            outcome = error
        self.note(run, expected, events, outcome)

children = []
for number in range(int(processes)):
    child = os.fork()
    if child == 0:
        random.seed(number)
        random.shuffle(RUNS)
        racer = Racer(number)
        racer.race() if number % 2 else asyncio.run(racer.race_in_tasks())
        Path(folder, f"{number}.json").write_text(json.dumps([racer.won, racer.lost]))
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


def test_sixteen_processes_race_for_the_versions_of_a_hundred_runs(
    server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    run_python(RACE, server.url, namespace, tmp_path, PROCESSES, RUNS, ROUNDS)

    histories = assert_consistent(server, namespace)
    told = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    won: list[Any] = [each for wins, _ in told for each in wins]
    lost: list[Any] = [each for _, losses in told for each in losses]
    assert len(told) == PROCESSES
    assert len(won) + len(lost) == PROCESSES * RUNS * ROUNDS
    written = {
        (run, first + place): (event_id, position)
        for run, first, event_ids, positions in won
        for place, (event_id, position) in enumerate(zip(event_ids, positions, strict=True))
    }
    assert written == {
        (run, entry.version): (entry.event["id"], f"{entry.partition}:{entry.id}")
        for run, entries in histories.items()
        for entry in entries
    }
    firsts = {(run, first) for run, first, _, _ in won}
    assert len(firsts) == len(won), "two won with the same expected version"
    for run, named, expected, echoed, actual in lost:
        assert (named, expected) == (run, 0 if echoed == "none" else echoed)
        assert expected < actual <= len(histories[run])
        assert (run, actual + 1) in firsts or actual == len(histories[run])
    assert len(lost) > RUNS, "nobody raced"


def calls_of(server: AnyServer) -> int:
    stats = server.admin.info("commandstats").get("cmdstat_evalsha", {"calls": 0})
    return int(stats["calls"])


async def test_a_thousand_tasks_append_at_once_over_one_connection(
    store: EventStore, server: AnyServer, namespace: str
) -> None:
    connections, calls = len(server.admin.client_list()), calls_of(server)

    results = await asyncio.gather(
        *(store.append(f"run-{n % 300}", notes(1 + n % 2)) for n in range(1000))
    )

    assert len(server.admin.client_list()) <= connections + 1
    assert calls_of(server) - calls < 100
    histories = assert_consistent(server, namespace)
    places = [(r.run_id, p.entry_id) for r in results for p in r.positions]
    assert len(set(places)) == len(places) == 1500
    assert set(places) == {(run, e.id) for run, entries in histories.items() for e in entries}
    for number, result in enumerate(results):
        assert result.run_id == f"run-{number % 300}"
        assert result.last_version - result.first_version == number % 2


def test_threads_append_at_once_over_one_connection(
    sync_store: SyncEventStore, server: AnyServer, namespace: str
) -> None:
    connections = len(server.admin.client_list())

    with ThreadPoolExecutor(32) as threads:
        results = list(threads.map(
            lambda n: sync_store.append(f"run-{n % 50}", noted(str(n))), range(400)
        ))  # fmt: skip

    assert len(server.admin.client_list()) <= connections + 1
    histories = assert_consistent(server, namespace)
    texts = {(run, e.version): e.event["data"]["text"] for run, es in histories.items() for e in es}
    assert {(r.run_id, r.last_version): str(n) for n, r in enumerate(results)} == texts
    assert Counter(run for run, _ in texts) == {f"run-{n}": 8 for n in range(50)}


async def test_more_than_may_wait_wait_for_room(server: AnyServer, namespace: str) -> None:
    settings = Settings(max_waiting_appends=10, max_script_events=7, max_script_bytes=300)
    async with EventStore.open(server.url, namespace=namespace, settings=settings) as store:
        results = await asyncio.gather(*(store.append(f"run-{n}", notes(3)) for n in range(60)))

    assert {result.run_id for result in results} == {f"run-{n}" for n in range(60)}
    assert sum(map(len, assert_consistent(server, namespace).values())) == 180
