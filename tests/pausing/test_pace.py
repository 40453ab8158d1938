"""Restorers record many runs together, and no more than they can hand on soon."""

from __future__ import annotations

from typing import Any

import pytest
from replaying import HOUR, Workers, pause, restorer, server_now

from eventstore.timers import WINDOW, DueTimer, Timer
from replay import RunContext
from replay.sweeping.pace import MAX_TOGETHER, PART_S, Pace
from replay.sweeping.taken import SETTLE_RUNS

DUE = [DueTimer(Timer(WINDOW, f"run-{number}", "p"), 1, 2) for number in range(1_000)]


class Killed(BaseException):
    """Stands for the death of a process: nobody handles it."""


def test_quick_parts_grow_up_to_a_bound_and_slow_ones_are_small_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed_s = 0.0
    monkeypatch.setattr("replay.sweeping.pace.monotonic", lambda: passed_s)
    pace, sizes = Pace(32), []
    # when all goes quickly, and later slowly
    for number, part in enumerate(pace.parts(DUE)):
        sizes.append(len(part))
        passed_s += 2 * PART_S if number > 5 else 0.01
    # then ever more are dealt with together, up to a bound, and in the end as few as at first
    assert sizes[:6] == [32, 64, *[MAX_TOGETHER] * 4]
    assert sizes[6:] == [MAX_TOGETHER, *[32] * 8, 8]
    assert pace.runs == 32


@pytest.mark.parametrize("took_s", [0.01, 0.7 * PART_S, 2 * PART_S])
@pytest.mark.parametrize("least", [1, 32, 500])
def test_every_timer_is_in_one_part(
    monkeypatch: pytest.MonkeyPatch, least: int, took_s: float
) -> None:
    passed_s, found = 0.0, []
    monkeypatch.setattr("replay.sweeping.pace.monotonic", lambda: passed_s)
    for part in Pace(least).parts(DUE):
        found += part
        passed_s += took_s
    assert found == DUE


async def test_whoever_dies_leaves_few_runs_to_be_handed_over_twice(any_store: Any) -> None:
    # given many runs beyond their windows, and a restorer that dies while it hands them over
    for number in range(100):
        await pause(any_store, f"run-{number}")
    first = Workers()

    def take_or_die(context: RunContext) -> None:
        if len(first.contexts) == 90:
            raise Killed
        first(context)

    with pytest.raises(BaseException) as death:
        await restorer(any_store, take_or_die).run_once()
    assert (
        death.group_contains(Killed)
        if isinstance(death.value, BaseExceptionGroup)
        else (death.type is Killed)
    )
    # when another one comes, once all leases are over
    second = Workers()
    await restorer(any_store, second).run_once(now=await server_now(any_store) + HOUR)
    # then all runs have a worker, and hardly one has two
    twice = {*first.runs} & {*second.runs}
    assert {*first.runs, *second.runs} == {f"run-{number}" for number in range(100)}
    assert len(twice) <= SETTLE_RUNS
    assert len(first.runs) + len(second.runs) == 100 + len(twice)
