"""Two to eight processes race for the same pauses, and some are killed: one goes on with each."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from consistency import assert_consistent
from faults import PROJECT
from replaying import HOUR, types

from eventstore import NewEvent, SyncEventStore
from eventstore.clock import from_ms
from eventstore.commands import server_time
from eventstore.plan import single
from pausing.racing import EACH_S, ROLES, go_on
from replay import RunContext, SyncRestorer, SyncRunControl

TESTS = Path(__file__).parents[1]
RUNS = 24
READY_WITHIN_S = 2.5
WITHOUT_WORKER = ("window_expired", "signal", "timeout")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(6))
def test_of_all_that_race_for_a_pause_one_goes_on(
    sync_store: SyncEventStore, server: Any, namespace: str, seed: int, tmp_path: Path
) -> None:
    # given paused runs, whose windows and waiting times end soon or late
    chance = random.Random(seed)
    runs = [f"run-{number}" for number in range(RUNS)]
    begins = time.time() + READY_WITHIN_S
    for number, run_id in enumerate(runs):
        _pause(sync_store, run_id, chance, READY_WITHIN_S + number * EACH_S)
    # when two to eight processes do all that ends pauses, and some are killed meanwhile
    racers: dict[str, subprocess.Popen[bytes]] = {}
    roles = [chance.choice(ROLES) for _ in range(chance.randint(1, 7))] + ["restorer"]
    for number, role in enumerate(roles):
        name = f"{role}-{number}"
        kill_at = chance.choice((0, 0, chance.randint(1, 80)))
        words = (server.url, namespace, role, name, kill_at, begins, tmp_path / name, *runs)
        racers[name] = _start(*words)
    codes = {name: racer.wait(60) for name, racer in racers.items()}
    assert set(codes.values()) <= {0, -9}, codes
    # then, when a last restorer has handed on what those left behind
    told = _told(tmp_path)
    _clean_up(sync_store, told)
    for run_id in runs:
        _check(sync_store.load(run_id), told[run_id], codes)
    assert_consistent(server, namespace)


def _pause(store: SyncEventStore, run_id: str, chance: random.Random, moment_s: float) -> None:
    store.append(run_id, NewEvent("run.created"))
    near_s = max(0.0, moment_s + chance.uniform(-0.02, 0.02))
    SyncRunControl(store).pause(
        run_id,
        state={"step": 1},
        window=chance.choice((0, near_s, near_s, 3_600)),
        on_expiry=chance.choice(("restore", "restore", "park", "fail", "abort")),
        pause_id="p",
        wait_for=[{"type": "paid"}],
        wait_timeout=chance.choice((None, near_s)),
    )


def _start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pausing.racing", *map(str, words)],
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{TESTS}"},
    )


def _told(folder: Path) -> dict[str, list[tuple[str, list[Any]]]]:
    """Give what each racer told of each run; a killed one's last line may be cut."""
    told: dict[str, list[tuple[str, list[Any]]]] = defaultdict(list)
    for path in folder.iterdir():
        for line in path.read_bytes().split(b"\n")[:-1]:
            run_id, *what = orjson.loads(line)
            told[run_id].append((path.name, what))
    return told


def _clean_up(store: SyncEventStore, told: dict[str, list[tuple[str, list[Any]]]]) -> None:
    def work(context: RunContext) -> None:
        if go_on(store, context, "last"):
            told[context.run_id].append(("last", ["worked", context.cause]))

    now = from_ms(store.perform(single(server_time())))
    for hours in (2, 4, 6):
        SyncRestorer(store, work).run_once(1_000, now=now + hours * HOUR)


def _check(events: Any, told: list[tuple[str, list[Any]]], codes: dict[str, int]) -> None:
    kinds = types(events)
    resumed = [event for event in events if event.type == "run.resumed"]
    ends = kinds.count("run.failed") + kinds.count("run.aborted")
    # exactly one outcome, unless the window ended and the run is parked
    assert len(resumed) <= 1
    assert ends <= 1
    assert resumed or ends or kinds.count("run.window_expired") == 1, kinds
    assert kinds.count("run.window_expired") <= 1
    assert kinds.count("node.started") <= 1
    if not resumed:
        assert not [what for _, what in told if what[0] in ("won", "worked")]
        return
    # everybody who lost was told who won
    cause, actor = resumed[0].data["cause"], resumed[0].data.get("actor")
    for _, what in told:
        if what[0] == "lost":
            assert (what[1], what[2]) == (cause, actor)
    # who won by itself and lived went on, and alone
    winners = [name for name, what in told if what[0] == "won"]
    assert winners == ([actor] if actor and codes[actor] == 0 else winners[:1])
    assert set(winners) <= {actor}
    workers = [name for name, what in told if what[0] == "worked"]
    assert len(workers) <= 1
    if workers and "node.started" in kinds:
        started = events[kinds.index("node.started")]
        assert started.data["worker"] == workers[0]
    if cause in WITHOUT_WORKER and not ends:
        assert kinds.count("node.started") == 1, (kinds, told)
