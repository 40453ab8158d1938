"""Appending: versions, expected versions, several runs at once, and what is read back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import Opener
from consistency import assert_consistent
from samples import contents, noted, notes
from servers import AnyServer

from eventstore import (
    ANY,
    NO_RUN,
    RUN_EXISTS,
    Append,
    AppendResult,
    EventStore,
    InvalidEvent,
    NewEvent,
    WrongExpectedVersion,
)
from eventstore.events import ExpectedVersion


async def test_versions_count_from_one_without_a_gap(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    results = [await any_store.append("run", notes(count)) for count in (1, 3, 1, 20)]

    assert [(r.first_version, r.last_version) for r in results] == [(1, 1), (2, 4), (5, 5), (6, 25)]
    assert [event.version for event in await any_store.load("run")] == list(range(1, 26))
    assert_consistent(server, namespace)


async def test_a_result_tells_where_the_events_stand(any_store: EventStore) -> None:
    result = await any_store.append("run", notes(3))

    assert (result.run_id, result.deduplicated) == ("run", False)
    assert [event.position for event in await any_store.load("run")] == list(result.positions)
    assert [event.position async for event in any_store.read_all()] == list(result.positions)


async def test_one_append_stands_together_in_the_log(any_store: EventStore) -> None:
    await any_store.append("other", noted())

    positions = (await any_store.append("run", notes(5))).positions

    assert len({(p.partition, p.ms) for p in positions}) == 1
    assert [p.n - positions[0].n for p in positions] == [0, 1, 2, 3, 4]


async def test_what_was_appended_is_read_back_as_it_was(any_store: EventStore) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789_000, timezone(timedelta(hours=5, minutes=30)))
    data = {
        "text": 'ünïcode \x00 ✓ 👩‍🚀 "quoted" \u2028',
        "numbers": [0, -1, 2**63, -(2**63), 2**64 - 1, 0.1, 1e300, 5e-324, -0.0],
        "nothing": None,
        "empty": [{}, [], ""],
        "": {"nested": {"true": True}},
    }
    event = NewEvent(
        "order.placed",
        data,
        workflow_id="orders",
        id="my-own-id",
        occurred_at=moment,
        meta={"actor": "ada", "depth": [1, {"x": None}]},
        schema_version=7,
    )

    await any_store.append("run", event)

    (by_run,) = await any_store.load("run")
    (by_log,) = [found async for found in any_store.read_all()]
    assert by_run == by_log
    assert (by_run.id, by_run.type, by_run.run_id) == ("my-own-id", "order.placed", "run")
    assert (by_run.data, by_run.meta) == (data, event.meta)
    assert (by_run.workflow_id, by_run.schema_version) == ("orders", 7)
    assert by_run.occurred_at == moment


async def test_an_event_without_a_time_happened_when_the_server_recorded_it(
    any_store: EventStore, server: AnyServer
) -> None:
    before = server.admin.time()
    await any_store.append("run", noted())
    after = server.admin.time()

    (event,) = await any_store.load("run")
    earliest, latest = (seconds * 1000 + micros // 1000 for seconds, micros in (before, after))
    assert earliest <= event.position.ms <= latest
    assert event.occurred_at == event.recorded_at
    assert event.recorded_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=event.position.ms
    )


MET = [(0, ANY), (0, NO_RUN), (0, 0), (2, ANY), (2, RUN_EXISTS), (2, 2)]
MISSED = [(0, RUN_EXISTS), (0, 1), (2, NO_RUN), (2, 0), (2, 1), (2, 3), (2, 10**15)]


@pytest.mark.parametrize(("actual", "expected"), MET)
async def test_an_append_goes_through_where_the_run_is_as_expected(
    any_store: EventStore, actual: int, expected: Any
) -> None:
    if actual:
        await any_store.append("run", notes(actual))

    assert (await any_store.append("run", noted(), expected=expected)).last_version == actual + 1


@pytest.mark.parametrize(("actual", "expected"), MISSED)
async def test_an_append_that_expects_another_version_learns_the_actual_one(
    any_store: EventStore, server: AnyServer, namespace: str, actual: int, expected: Any
) -> None:
    if actual:
        await any_store.append("run", notes(actual))
    before = contents(server, namespace)

    with pytest.raises(WrongExpectedVersion) as caught:
        await any_store.append("run", notes(2), expected=expected)

    shown = ExpectedVersion.of(expected).value
    assert (caught.value.run_id, caught.value.actual) == ("run", actual)
    assert caught.value.expected == shown
    assert str(actual) in str(caught.value)
    assert contents(server, namespace) == before


async def test_of_many_who_expect_the_same_version_one_wins(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    tries = [any_store.append("run", noted(str(n)), expected=NO_RUN) for n in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    lost = [o for o in outcomes if isinstance(o, WrongExpectedVersion)]
    assert len(lost) == 19
    assert {error.actual for error in lost} == {1}
    assert len(assert_consistent(server, namespace)["run"]) == 1


async def test_appends_to_several_runs_each_have_their_own_outcome(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("old", notes(2))

    outcomes = await any_store.append_many(
        [
            ("new", notes(3)),
            Append("old", [noted()], expected=NO_RUN),
            Append("old", [noted("fits")], expected=2),
            ("new", [noted("more")]),
            ("empty", []),
            Append("keyed", [noted("k")], idempotency_key="k"),
            Append("keyed", [noted("k")], idempotency_key="k"),
        ]
    )

    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [
        AppendResult,
        WrongExpectedVersion,
        AppendResult,
        AppendResult,
        InvalidEvent,
        AppendResult,
        AppendResult,
    ]
    written = [outcome for outcome in outcomes if isinstance(outcome, AppendResult)]
    assert [(w.run_id, w.last_version) for w in written] == [
        ("new", 3),
        ("old", 3),
        ("new", 4),
        ("keyed", 1),
        ("keyed", 1),
    ]
    assert [w.deduplicated for w in written] == [False, False, False, False, True]
    assert set(assert_consistent(server, namespace)) == {"old", "new", "keyed"}


async def test_appending_nothing_to_no_run_gives_nothing(any_store: EventStore) -> None:
    assert await any_store.append_many([]) == []


async def test_events_take_the_workflow_of_their_run(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", noted("before"))
    await any_store.append("run", [noted("names it", workflow_id="billing"), noted("same call")])
    async with open_any(server.url, namespace=namespace) as another:
        await another.append("run", noted("later, from elsewhere"))
        await another.append("run", noted("its own", workflow_id="other"))

    workflows = [event.workflow_id for event in await any_store.load("run")]
    assert workflows == [None, "billing", "billing", "billing", "other"]
    assert (await any_store.head("run")).workflow_id == "billing"
    log = [event.workflow_id async for event in any_store.read_all()]
    assert log == workflows


async def test_a_thousand_events_fit_into_one_append(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    result = await any_store.append("run", notes(1_000))

    assert (result.first_version, result.last_version) == (1, 1_000)
    assert len(await any_store.load("run")) == 1_000
    assert_consistent(server, namespace)


async def test_an_event_of_a_whole_mebibyte_fits(any_store: EventStore) -> None:
    room = 1_048_576 - len(noted("").encoded)

    await any_store.append("run", noted("x" * room))

    (event,) = await any_store.load("run")
    assert event.data["text"] == "x" * room


async def test_one_event_need_not_be_in_a_list_and_a_generator_will_do(
    any_store: EventStore,
) -> None:
    await any_store.append("run", noted("alone"))
    await any_store.append("run", (noted(str(n)) for n in range(2)))  # type: ignore[arg-type]

    assert [e.data["text"] for e in await any_store.load("run")] == ["alone", "0", "1"]


async def test_changing_the_data_afterwards_changes_nothing(any_store: EventStore) -> None:
    data = {"text": "as it was"}
    event = NewEvent("note.taken", data)
    data["text"] = "changed"

    await any_store.append("run", event)

    assert (await any_store.load("run"))[0].data == {"text": "as it was"}


async def test_namespaces_know_nothing_of_each_other(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", notes(2))
    other = f"{namespace}-b"
    async with open_any(server.url, namespace=other) as another:
        assert (await another.append("run", noted(), expected=NO_RUN)).last_version == 1
        assert len([event async for event in another.read_all()]) == 1
    server.forget(other)

    assert (await any_store.head("run")).version == 2
