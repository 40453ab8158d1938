"""Open pauses are extended, expired and called off; runs are aborted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from consistency import assert_consistent
from replaying import (
    ENDED,
    HOUR,
    MS,
    ON_EXPIRY,
    YEAR,
    Workers,
    begin,
    control,
    pause,
    restorer,
    server_now,
    timers,
    travel,
    types,
)

from eventstore import (
    AlreadyResumed,
    InvalidArgument,
    NewEvent,
    PauseExpired,
    PauseNotFound,
    RunClosed,
    RunNotFound,
    StateTooLarge,
)
from pausing.ground import KEY


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTORE_TOKEN_KEY", KEY)


# Extending


@pytest.mark.parametrize("window", [timedelta(milliseconds=1), 60, HOUR, YEAR, 100 * YEAR])
async def test_an_extended_window_ends_exactly_then(any_store: Any, window: Any) -> None:
    # given a run whose window would end soon
    await pause(any_store, "run", window=HOUR, on_expiry="fail")
    # when it is extended, or cut
    before = await server_now(any_store)
    extended = await control(any_store).extend("run", window, actor="ann")
    length = window if isinstance(window, timedelta) else timedelta(seconds=window)
    assert before + length <= extended.expires_at <= await server_now(any_store) + length
    # then it lasts up to one millisecond before its end, and is over at it
    service = restorer(any_store, pytest.fail)
    assert (await service.run_once(now=extended.expires_at - MS)).due == 0
    assert (await service.run_once(now=extended.expires_at)).failed == 1
    state = await travel(any_store).state_at("run", 3)
    assert state.pauses["p"].expires_ms == int(extended.expires_at.timestamp() * 1000 + 0.5)


async def test_a_window_extended_for_ever_has_no_timer(
    any_store: Any, server: Any, namespace: str
) -> None:
    await pause(any_store, "run", window=HOUR)
    assert (await control(any_store).extend("run", None)).expires_at is None
    assert timers(server, namespace) == []
    assert (await control(any_store).extend("run", HOUR)).expires_at is not None
    assert timers(server, namespace) == ["window|run|p"]
    await asyncio.to_thread(assert_consistent, server, namespace)


@pytest.mark.parametrize("window", [-1, float("nan"), True, "60", timedelta(days=36_601)])
async def test_a_window_is_not_extended_by_what_cannot_be(any_store: Any, window: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    with pytest.raises(InvalidArgument, match="window"):
        await control(any_store).extend("run", window)
    assert (await any_store.head("run")).version == 2


async def test_a_window_that_is_over_is_not_extended(any_store: Any) -> None:
    # given a window that is over, before and after a restorer saw it
    await pause(any_store, "run", window=0, on_expiry="park")
    for _ in range(2):
        version = (await any_store.head("run")).version
        with pytest.raises(PauseExpired) as error:
            await control(any_store).extend("run", HOUR)
        assert (error.value.run_id, error.value.pause_id) == ("run", "p")
        assert (await any_store.head("run")).version == version
        await restorer(any_store, pytest.fail).run_once()


# Expiring


@pytest.mark.parametrize("on_expiry", ON_EXPIRY)
async def test_a_window_ends_when_it_is_told_to(
    any_store: Any, server: Any, namespace: str, on_expiry: str
) -> None:
    # given a run that waits for a year
    await pause(any_store, "run", window=YEAR, on_expiry=on_expiry)
    # when its window is made to end
    expired = await control(any_store).expire("run", "p")
    # then all is recorded that its end means, at once
    events = await any_store.load("run")
    assert types(events)[2:] == ENDED[on_expiry]
    assert (expired.effect, expired.version) == (on_expiry, events[-1].version)
    # and a worker gets what is restored, once
    workers = Workers()
    counts = await restorer(any_store, workers).run_once()
    assert workers.runs == (["run"] if on_expiry == "restore" else [])
    assert counts.restored == len(workers.runs)
    assert timers(server, namespace) == []
    await asyncio.to_thread(assert_consistent, server, namespace)


async def test_a_window_ends_once(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR, on_expiry="park")
    await control(any_store).expire("run")
    with pytest.raises(PauseExpired):
        await control(any_store).expire("run")
    await pause(any_store, "run-2", window=HOUR, on_expiry="restore")
    await control(any_store).expire("run-2")
    with pytest.raises(AlreadyResumed):
        await control(any_store).expire("run-2")


# Calling off, ending


async def test_a_pause_that_is_called_off_goes_on_without_an_answer(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    context = await control(any_store).cancel("run", "p", "no longer needed", actor="ann")
    assert (context.cause, context.actor, context.state) == ("cancelled", "ann", {"step": 1})
    (resumed,) = await any_store.load("run", after=2)
    assert resumed.data["reason"] == "no longer needed"
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).resume("run")
    assert (error.value.cause, error.value.actor) == ("cancelled", "ann")


async def test_a_run_is_aborted_whatever_it_does(
    any_store: Any, server: Any, namespace: str
) -> None:
    await pause(any_store, "run", window=HOUR)
    version = await control(any_store).abort("run", "enough", actor="ann")
    assert (await travel(any_store).state_at("run")).reason == "enough"
    assert (await any_store.head("run")).version == version == 3
    assert timers(server, namespace) == []
    with pytest.raises(RunClosed):
        await control(any_store).abort("run")
    with pytest.raises(RunNotFound):
        await control(any_store).abort("nobody")


# Several pauses


async def test_branches_pause_and_go_on_by_themselves(any_store: Any) -> None:
    # given a run with three branches that wait
    await begin(any_store, "run")
    for name in "abc":
        await pause(any_store, "run", pause_id=name, window=HOUR, expected=None)
    # when nobody says which is meant / then it is asked
    steering = control(any_store)
    for change in (
        steering.resume("run"),
        steering.decide("run", {}),
        steering.extend("run", HOUR),
        steering.expire("run"),
        steering.cancel("run"),
        steering.token("run"),
    ):
        with pytest.raises(PauseNotFound):
            await change
    # when each is ended in its own way / then the others stay as they are
    await steering.extend("run", YEAR, pause_id="a")
    assert (await steering.cancel("run", "b")).pause_id == "b"
    await steering.expire("run", "c")
    state = await travel(any_store).state_at("run")
    assert (list(state.pauses), state.status) == (["a"], "paused")
    assert {name: outcome.cause for name, outcome in state.outcomes.items()} == {
        "b": "cancelled",
        "c": "window_expired",
    }
    assert (await steering.decide("run", {})).pause_id == "a"


@pytest.mark.parametrize("name", ["resume", "decide", "expire", "cancel", "token"])
async def test_what_is_not_there_cannot_be_changed(any_store: Any, name: str) -> None:
    change = getattr(control(any_store), name)
    with pytest.raises(RunNotFound):
        await change("nobody")
    await begin(any_store, "run")
    with pytest.raises(PauseNotFound):
        await change("run", pause_id="q")
    assert (await any_store.head("run")).version == 1


# Large states


@pytest.mark.parametrize("key", ["draft", "ä" * 50, ""])
async def test_a_state_that_is_too_large_names_its_largest_key(any_store: Any, key: str) -> None:
    await begin(any_store, "run")
    state = {"small": 1, key: "x" * 1_100_000, "medium": "y" * 1_000}
    with pytest.raises(StateTooLarge) as error:
        await pause(any_store, "run", state=state, expected=None)
    assert (error.value.key, error.value.key_bytes) == (key, 1_100_002)
    assert error.value.size_bytes > error.value.limit_bytes == 1_048_576
    assert repr(key)[:20] in str(error.value)
    assert (await any_store.head("run")).version == 1
    await any_store.append("run", NewEvent("run.completed"))
