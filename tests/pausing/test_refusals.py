"""Pauses and resumes that cannot be: each its own error, and nothing written."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from replaying import (
    HOUR,
    begin,
    control,
    pause,
    restorer,
    timers,
)

from eventstore import (
    AlreadyResumed,
    InvalidArgument,
    InvalidEvent,
    NewEvent,
    PauseNotFound,
    RunClosed,
    RunNotFound,
    WrongExpectedVersion,
)
from replay import pausing

CENTURY = timedelta(days=100 * 366)


@pytest.mark.parametrize(
    "window",
    [
        -1,
        -0.001,
        timedelta(seconds=-1),
        CENTURY + timedelta(milliseconds=1),
        CENTURY.total_seconds() + 1,
        timedelta.max,
        10**400,
        math.nan,
        math.inf,
        -math.inf,
        True,
        "60",
        [60],
        1j,
    ],
)
def test_a_window_that_cannot_be_is_refused(window: Any) -> None:
    with pytest.raises(InvalidArgument, match="window"):
        pausing.window_in_ms(window)


@pytest.mark.parametrize(
    "bad",
    [
        {"window": -1},
        {"window": CENTURY + HOUR},
        {"window": math.nan},
        {"window": True},
        {"on_expiry": "explode"},
        {"on_expiry": None},
        {"state": ["no", "object"]},
        {"state": None},
        {"state": {1: "key"}},
        {"state": {"at": math.nan}},
        {"state": {"raw": b"bytes"}},
        {"pause_id": ""},
        {"pause_id": "p" * 201},
        {"pause_id": 5},
        {"node_id": ""},
        {"meta": ["no", "object"]},
        {"resume_at": object()},
    ],
    ids=lambda bad: "-".join(f"{name}={str(value)[:9]}" for name, value in bad.items()),
)
@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
async def test_a_pause_that_cannot_be_is_refused(
    any_store: Any, server: Any, namespace: str, bad: dict[str, Any]
) -> None:
    await begin(any_store, "run")
    with pytest.raises(InvalidArgument):
        await pause(any_store, "run", expected=None, **bad)
    assert (await any_store.head("run")).version == 1
    assert timers(server, namespace) == []


@pytest.mark.parametrize("patch", [[], [1], "text", "", 0, False, 1.5, {1: 2}, {"n": math.nan}])
@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
async def test_a_patch_must_be_an_object(any_store: Any, patch: Any) -> None:
    await pause(any_store, "run")
    with pytest.raises(InvalidEvent):
        await control(any_store).resume("run", patch)
    assert (await any_store.head("run")).version == 2


@pytest.mark.parametrize("bad", [{"cause": "magic"}, {"cause": None}, {"actor": 5}])
@pytest.mark.parametrize("server", ["valkey"], indirect=True)  # refused on this side
async def test_a_resume_must_say_a_known_cause_and_who(any_store: Any, bad: dict[str, Any]) -> None:
    await pause(any_store, "run")
    with pytest.raises(InvalidEvent):
        await control(any_store).resume("run", **bad)
    assert (await any_store.head("run")).version == 2


async def test_only_a_run_that_exists_can_pause(any_store: Any) -> None:
    with pytest.raises(WrongExpectedVersion):
        await pause(any_store, "nobody", expected=None)
    with pytest.raises(RunNotFound):
        await any_store.head("nobody")


async def test_a_pause_can_ask_for_the_exact_version(any_store: Any) -> None:
    await begin(any_store, "run")
    with pytest.raises(WrongExpectedVersion):
        await pause(any_store, "run", expected=2)
    assert (await pause(any_store, "run", expected=1)).version == 2


async def test_a_run_without_pauses_cannot_be_resumed(any_store: Any) -> None:
    await begin(any_store, "run")
    with pytest.raises(PauseNotFound):
        await control(any_store).resume("run")
    with pytest.raises(RunNotFound):
        await control(any_store).resume("nobody")


@pytest.mark.parametrize("pause_id", ["q", "", "P"])
async def test_an_unknown_pause_is_not_found(any_store: Any, pause_id: str) -> None:
    await pause(any_store, "run")
    with pytest.raises(PauseNotFound) as error:
        await control(any_store).resume("run", pause_id=pause_id)
    assert error.value.pause_id == pause_id
    assert error.value.open_pauses == ("p",)


@pytest.mark.parametrize("pause_id", [None, "p"])
async def test_who_comes_second_learns_who_was_first(any_store: Any, pause_id: str | None) -> None:
    # given a run that ann resumed
    await pause(any_store, "run")
    await control(any_store).resume("run", cause="decision", actor="ann")
    # when bob resumes it / then he learns of ann, and nothing is written
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).resume("run", pause_id=pause_id, actor="bob")
    assert (error.value.run_id, error.value.pause_id) == ("run", "p")
    assert (error.value.cause, error.value.actor) == ("decision", "ann")
    assert "'ann'" in str(error.value)
    assert (await any_store.head("run")).version == 5


async def test_whom_a_restorer_beat_learns_that(any_store: Any) -> None:
    await pause(any_store, "run")
    await restorer(any_store, lambda _: None).run_once()
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).resume("run")
    assert (error.value.cause, error.value.actor) == ("window_expired", None)


@pytest.mark.parametrize("end", ["run.completed", "run.failed", "run.aborted"])
async def test_a_closed_run_neither_pauses_nor_resumes(any_store: Any, end: str) -> None:
    await pause(any_store, "run")
    error = {"error": {"type": "E", "message": "m"}} if end == "run.failed" else {}
    await any_store.append("run", NewEvent(end, error))
    with pytest.raises(RunClosed):
        await control(any_store).resume("run", pause_id="p")
    with pytest.raises(RunClosed):
        await pause(any_store, "run", pause_id="q", expected=None)
    assert (await any_store.head("run")).version == 3
