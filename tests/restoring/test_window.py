"""When a pause window is over: by the server's clock, at the very millisecond."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from replaying import HOUR, MS, YEAR, begin, control, pause, restorer, server_now, timers, types

from eventstore import NewEvent
from eventstore.clock import from_ms, system_clock, to_ms
from projections.state import PauseState
from replay import Decision, decide
from replay.decision import expiry_events

PAUSED_MS = 1_700_000_000_000


# The decision alone


def a_pause(
    window_ms: int | None, on_expiry: str = "restore", *, expired: bool = False
) -> PauseState:
    expires_ms = None if window_ms is None else PAUSED_MS + window_ms
    return PauseState(
        "p", 2, None, None, "next", {}, window_ms, on_expiry, PAUSED_MS, expires_ms, expired
    )


@pytest.mark.parametrize("on_expiry", ["restore", "park", "fail", "abort"])
@pytest.mark.parametrize(
    ("window_ms", "after_ms", "over"),
    [
        (0, -1, False),
        (0, 0, True),
        (0, 1, True),
        (1, 0, False),
        (1, 1, True),
        (60_000, 59_999, False),
        (60_000, 60_000, True),
        (60_000, 60_001, True),
        (31_536_000_000, 31_535_999_999, False),
        (31_536_000_000, 31_536_000_000, True),
        (None, 0, False),
        (None, 10**15, False),
    ],
)
def test_a_window_decides_at_its_millisecond(
    window_ms: int | None, after_ms: int, *, over: bool, on_expiry: str
) -> None:
    decision = decide(a_pause(window_ms, on_expiry), PAUSED_MS + after_ms)
    assert decision == (on_expiry if over else Decision.WAIT)


@pytest.mark.parametrize("on_expiry", ["restore", "park", "fail", "abort"])
@pytest.mark.parametrize("after_ms", [-1, 0, 10**12])
def test_an_end_that_was_recorded_decides_nothing_more(on_expiry: str, after_ms: int) -> None:
    pause = a_pause(1_000, on_expiry, expired=True)
    assert decide(pause, PAUSED_MS + after_ms) is Decision.SETTLED


@pytest.mark.parametrize(
    ("decision", "recorded"),
    [
        ("restore", ["run.window_expired", "run.restored", "run.resumed"]),
        ("park", ["run.window_expired"]),
        ("fail", ["run.window_expired", "run.failed"]),
        ("abort", ["run.window_expired", "run.aborted"]),
    ],
)
def test_each_decision_is_recorded_in_this_order(decision: str, recorded: list[str]) -> None:
    events = expiry_events(a_pause(1_000, decision), Decision(decision))
    assert [event.type for event in events] == recorded


def test_what_is_restored_already_is_not_restored_again() -> None:
    pause = a_pause(1_000)
    pause.restored_version = 4
    recorded = [event.type for event in expiry_events(pause, Decision.RESTORE)]
    assert recorded == ["run.window_expired", "run.resumed"]


# The restorer, with time moved instead of waited for


@pytest.mark.parametrize(
    "window", [MS, HOUR, YEAR, timedelta(days=36_600)], ids=["ms", "hour", "year", "century"]
)
async def test_a_window_ends_when_it_says_and_not_a_millisecond_before(
    any_store: Any, server: Any, namespace: str, window: timedelta
) -> None:
    # given a run that waits
    paused = await pause(any_store, "run", window=window)
    handed: list[Any] = []
    service = restorer(any_store, handed.append)
    # when the window's end is a millisecond away / then nothing is due
    assert (await service.run_once(now=paused.expires_at - MS)).due == 0
    assert handed == []
    assert (await any_store.head("run")).version == 2
    # when it comes / then it takes effect, and never again
    counts = await service.run_once(now=paused.expires_at)
    assert (counts.due, counts.restored) == (1, 1)
    assert [context.run_id for context in handed] == ["run"]
    assert (await service.run_once(now=paused.expires_at + YEAR)).due == 0
    assert timers(server, namespace) == []


async def test_a_restorer_that_comes_late_finds_the_window_over(any_store: Any) -> None:
    paused = await pause(any_store, "run", window=HOUR)
    counts = await restorer(any_store, lambda _: None).run_once(now=paused.expires_at + YEAR)
    assert counts.restored == 1


async def test_due_timers_come_at_their_millisecond_and_under_a_lease(any_store: Any) -> None:
    # given a window's end
    paused = await pause(any_store, "run", window=HOUR)
    end = paused.expires_at
    # when it is asked for / then it is there from its millisecond on, for one at a time
    assert await any_store.due(now=end - MS) == []
    (due,) = await any_store.due(now=end, lease_ms=1_000)
    assert (due.timer.run_id, due.timer.ref, due.due_ms) == ("run", "p", to_ms(end))
    assert await any_store.due(now=end + 999 * MS) == []
    (again,) = await any_store.due(now=end + 1_000 * MS)
    assert again.timer == due.timer


async def test_windows_count_from_when_a_pause_is_said_to_have_occurred(any_store: Any) -> None:
    # given a pause of the past, written down now
    occurred = datetime.fromisoformat("2012-03-04T05:06:07.089999+00:00")
    data = {"pause_id": "p", "state": {}, "window_ms": 60_000, "on_expiry": "park"}
    await begin(any_store, "run", NewEvent("run.paused", data, occurred_at=occurred))
    service = restorer(any_store, pytest.fail)
    # when time passes its window's end of back then
    end = from_ms(to_ms(occurred) + 60_000)
    # then it is over there, and not a millisecond before
    assert (await service.run_once(now=end - MS)).due == 0
    assert (await service.run_once(now=end)).parked == 1


async def test_only_as_many_as_asked_are_taken_and_the_others_next(any_store: Any) -> None:
    # given five windows that end one after another, in a namespace of many partitions
    ends = [(await pause(any_store, f"r{n}", window=10 * (5 - n))).expires_at for n in range(5)]
    handed: list[str] = []
    service = restorer(any_store, lambda context: handed.append(context.run_id))
    # when three have ended and two may be taken / then it takes two rounds
    now = sorted(ends)[2]
    assert (await service.run_once(now=now, limit=2)).restored == 2
    assert (await service.run_once(now=now, limit=2)).restored == 1
    assert sorted(handed) == ["r2", "r3", "r4"]


async def test_a_moved_window_ends_later(any_store: Any, server: Any, namespace: str) -> None:
    # given a pause that was made anew under its id with a longer window
    first = await pause(any_store, "run", window=HOUR)
    second = await pause(any_store, "run", window=2 * HOUR, expected=2)
    service = restorer(any_store, lambda _: None)
    # when the first window would have ended / then nothing happens before the second one does
    assert (await service.run_once(now=first.expires_at)).due == 0
    assert (await service.run_once(now=second.expires_at)).restored == 1
    assert timers(server, namespace) == []


async def test_a_pause_made_anew_without_end_has_no_timer(
    any_store: Any, server: Any, namespace: str
) -> None:
    # given a pause whose window would have ended
    await pause(any_store, "run", on_expiry="fail")
    # when it is made anew under its id, without end
    await pause(any_store, "run", window=None, expected=2)
    # then nothing is due any more
    assert timers(server, namespace) == []
    much_later = await server_now(any_store) + YEAR
    assert (await restorer(any_store, pytest.fail).run_once(now=much_later)).due == 0


# Clocks that differ


@pytest.mark.parametrize("server_ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
@pytest.mark.parametrize("name", ["valkey", "redis6", "redis7"])
async def test_the_servers_clock_counts_not_the_workers(
    launch: Any, shim: Any, open_any: Any, name: str, server_ahead: timedelta
) -> None:
    # given a server whose clock is an hour away from this machine's
    skew = {"SKEW_MS": str(server_ahead // MS)}
    server = launch(name, preload=shim("slowclock"), environment=skew)
    async with open_any(server.url) as store:
        offset = await server_now(store) - system_clock()
        assert abs(offset - server_ahead) < timedelta(minutes=1)
        # when runs pause for half an hour, and for a moment
        waiting = await pause(store, "waits", window=HOUR / 2)
        await pause(store, "over", window=0)
        # then the window is half an hour of the server's time
        assert abs(waiting.expires_at - await server_now(store) - HOUR / 2) < timedelta(minutes=1)
        # and a restorer without a clock of its own takes what is over there, nothing else
        handed: list[Any] = []
        service = restorer(store, handed.append)
        assert (await service.run_once()).restored == 1
        assert [context.run_id for context in handed] == ["over"]
        # and so does a resume: the one that waits still has its live context
        assert not (await control(store).resume("waits")).restored
        await pause(store, "late", window=0)
        assert (await control(store).resume("late")).restored
        assert types(await store.load("waits"))[2:] == ["run.resumed"]
