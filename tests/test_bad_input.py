"""Bad input: each with an error that names it, and nothing written."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from conftest import Opener
from samples import contents, noted, notes
from servers import AnyServer

from eventstore import EventStore, InvalidArgument, InvalidEvent, InvalidRunId, NewEvent, Settings


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(depth - 1):
        data = {"in": data}
    return data


def cycle() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = [data]
    return data


BAD_DATA: dict[str, Callable[[], Any]] = {
    "NaN": lambda: {"x": math.nan},
    "NaN within": lambda: {"a": [{"b": (1, math.nan)}]},
    "infinity": lambda: {"x": [math.inf]},
    "minus infinity": lambda: {"x": {"y": -math.inf}},
    "bytes": lambda: {"x": b"raw"},
    "a key that is a number": lambda: {1: "x"},
    "a key that is none": lambda: {"x": {None: 1}},
    "a cycle": cycle,
    "nesting of 129": lambda: nested(129),
    "nesting of 300": lambda: nested(300),
    "nesting of 100,000 lists": lambda: {"x": _lists(100_000)},
    "an integer beyond 64 bits": lambda: {"x": 2**64},
    "an integer below 64 bits": lambda: {"x": -(2**63) - 1},
    "half a surrogate": lambda: {"x": "\ud800"},
    "half a surrogate as a key": lambda: {"\udfff": 1},
    "a set": lambda: {"x": {1, 2}},
    "an object": lambda: {"x": object()},
    "a decimal": lambda: {"x": Decimal("1.5")},
    "a list": lambda: [1, 2],
    "a string": lambda: "text",
}


def _lists(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize("kind", BAD_DATA)
def test_data_that_json_would_change_or_lose_makes_no_event(kind: str) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent("x.y", BAD_DATA[kind]())


@pytest.mark.parametrize("kind", [k for k in BAD_DATA if k not in ("a list", "a string")])
def test_meta_is_held_to_the_same_rules(kind: str) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent("x.y", meta=BAD_DATA[kind]())


def test_nesting_of_128_is_taken() -> None:
    assert NewEvent("x.y", nested(128)).data == nested(128)


@pytest.mark.parametrize(
    "event_type",
    ["", " ", "__reserved", "__", ".x", "x.", "x..y", "x y", "x\n", "ü.x", "x" * 201, None, 7],
)
def test_a_type_is_a_dotted_name(event_type: Any) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(event_type)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "x" * 201},
        {"id": 7},
        {"workflow_id": ""},
        {"workflow_id": "a\nb"},
        {"workflow_id": 7},
        {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is wrong with it
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"schema_version": 0},
        {"schema_version": True},
        {"schema_version": "1"},
    ],
)
def test_the_other_parts_of_an_event_are_checked_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent("x.y", **wrong)


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("run.paused", {}),
        ("run.paused", {"pause_id": "p", "state": {}, "window_ms": -1, "on_expiry": "restore"}),
        ("run.paused", {"pause_id": "p", "state": {}, "window_ms": "5", "on_expiry": "restore"}),
        ("run.paused", {"pause_id": "p", "state": {}, "window_ms": 5, "on_expiry": "explode"}),
        ("run.paused", {"pause_id": "", "state": {}, "window_ms": 5, "on_expiry": "park"}),
        ("run.paused", {"pause_id": "p", "state": {}, "window_ms": 10**13, "on_expiry": "park"}),
        ("run.resumed", {"pause_id": "p", "cause": "magic"}),
        ("run.failed", {"error": "it broke"}),
        ("node.started", {}),
        ("checkpoint.saved", {"state": []}),
    ],
)
def test_the_data_of_a_built_in_type_must_fit_it(event_type: str, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent) as caught:
        NewEvent(event_type, data)

    assert event_type in str(caught.value)


def test_an_error_about_an_event_does_not_repeat_what_may_be_secret() -> None:
    data = {"pause_id": "p", "state": "hunter2", "window_ms": 5, "on_expiry": "hunter2"}

    with pytest.raises(InvalidEvent) as caught:
        NewEvent("run.paused", data)

    assert "hunter2" not in str(caught.value) + repr(caught.value)


BAD_RUN_IDS = ["", "x" * 201, "é" * 101, "a\nb", "a\x00", "\x7f", "a\u2028b", "\x85", "\ud800"]


@pytest.mark.parametrize("run_id", [*BAD_RUN_IDS, None, 7, b"run"])
async def test_a_run_id_that_cannot_be_is_refused(
    any_store: EventStore, server: AnyServer, namespace: str, run_id: Any
) -> None:
    before = contents(server, namespace)

    with pytest.raises(InvalidRunId):
        await any_store.append(run_id, noted())

    assert contents(server, namespace) == before


@pytest.mark.parametrize(
    "expected", ["latest", "any", "1", None, -1, 1.0, True, False, 2**53, [], object()]
)
async def test_an_unknown_expectation_is_refused(
    any_store: EventStore, server: AnyServer, namespace: str, expected: Any
) -> None:
    await any_store.append("run", noted())
    before = contents(server, namespace)

    for more in ({}, {"append_id": "a"}):
        with pytest.raises(InvalidArgument):
            await any_store.append("run", noted(), expected=expected, **more)

    assert contents(server, namespace) == before


BAD_EVENTS: dict[str, Callable[[], Any]] = {
    "none": list,
    "1,001 of them": lambda: notes(1_001),
    "one of 1 MiB + 1": lambda: [noted("x" * (1_048_577 - len(noted("").encoded)))],
    "a good one before a large one": lambda: [noted(), noted("x" * 1_048_576)],
    "no event at all": lambda: [noted(), {"type": "x.y"}],
    "a string": lambda: "x.y",
    "a dict": lambda: {"type": "x.y"},
    "a number": lambda: 7,
    "nothing": lambda: None,
}


@pytest.mark.parametrize("kind", BAD_EVENTS)
async def test_what_is_no_list_of_events_within_the_limits_is_refused_whole(
    any_store: EventStore, server: AnyServer, namespace: str, kind: str
) -> None:
    before = contents(server, namespace)

    with pytest.raises(InvalidArgument):
        await any_store.append("run", BAD_EVENTS[kind]())

    assert contents(server, namespace) == before


async def test_the_limits_are_settings(open_any: Opener, server: AnyServer, namespace: str) -> None:
    settings = Settings(max_append_events=2, max_event_bytes=200)
    async with open_any(server.url, namespace=namespace, settings=settings) as store:
        await store.append("run", notes(2))
        with pytest.raises(InvalidEvent, match="3 events"):
            await store.append("run", notes(3))
        with pytest.raises(InvalidEvent, match="200"):
            await store.append("run", noted("x" * 200))

        assert (await store.head("run")).version == 2


@pytest.mark.parametrize("name", ["idempotency_key", "append_id"])
@pytest.mark.parametrize("value", ["", "x" * 201, "a\nb", 7, b"k"])
async def test_a_key_that_cannot_be_is_refused(
    any_store: EventStore, server: AnyServer, namespace: str, name: str, value: Any
) -> None:
    before = contents(server, namespace)

    with pytest.raises(InvalidArgument, match=name):
        await any_store.append("run", noted(), **{name: value})

    assert contents(server, namespace) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": ""},
        {"namespace": "Upper"},
        {"namespace": "a:b"},
        {"namespace": "x" * 65},
        {"namespace": "{a}"},
        {"namespace": None},
        {"partitions": 0},
        {"partitions": 1025},
        {"partitions": True},
        {"partitions": "16"},
        {"durability": "disk"},
        {"durability": "replicas:0"},
        {"durability": "replicas:-1"},
        {"durability": "replicas:"},
        {"durability": None},
        {"archive": 5},
        {"archive": ""},
        {"archive": "tests"},
    ],
)
def test_a_store_that_cannot_be_is_not_even_described(
    server: AnyServer, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        EventStore.open(server.url, **wrong)


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis+cluster://h", "redis+sentinel://h", 7, "x"]
)
async def test_a_url_that_cannot_be_used_is_refused(open_any: Opener, url: Any) -> None:
    with pytest.raises(InvalidArgument):
        async with open_any(url):
            pass


async def test_a_store_that_is_not_open_says_so(any_store: EventStore, server: AnyServer) -> None:
    never = EventStore.open(server.url)

    with pytest.raises(InvalidArgument, match="not open"):
        await never.append("run", noted())
    with pytest.raises(InvalidArgument, match="not open"):
        await never.load("run")
    await any_store.close()
    with pytest.raises(InvalidArgument, match="not open"):
        await any_store.append("run", noted())
    with pytest.raises(InvalidArgument, match="not open"):
        await any_store.load("run")
