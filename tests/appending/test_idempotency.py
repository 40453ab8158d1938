"""An append is never written twice: idempotency keys, and append ids that settle a doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Opener
from consistency import assert_consistent
from samples import contents, noted, notes
from servers import AnyServer, Server

from eventstore import (
    ANY,
    NO_RUN,
    RUN_EXISTS,
    EventStore,
    IdempotencyConflict,
    NewEvent,
    WrongExpectedVersion,
)


async def test_the_same_key_with_the_same_content_gives_the_first_result(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    await any_store.append("run", noted())
    first = await any_store.append("run", notes(3), idempotency_key="import-1")

    again = await any_store.append("run", notes(3), idempotency_key="import-1")

    assert not first.deduplicated
    assert again.deduplicated
    assert (again.first_version, again.last_version) == (2, 4)
    assert again.positions == first.positions
    assert len(assert_consistent(server, namespace)["run"]) == 4


@pytest.mark.parametrize("expected", [ANY, NO_RUN, RUN_EXISTS, 0, 1, 2, 7])
async def test_a_known_key_gives_the_first_result_whatever_is_expected(
    any_store: EventStore, expected: Any
) -> None:
    first = await any_store.append("run", noted("x"), idempotency_key="k")
    await any_store.append("run", noted("in between"))

    again = await any_store.append("run", noted("x"), expected=expected, idempotency_key="k")

    assert (again.positions, again.deduplicated) == (first.positions, True)
    assert (await any_store.head("run")).version == 2


async def test_a_key_is_known_to_every_store(
    any_store: EventStore, open_any: Opener, server: AnyServer, namespace: str
) -> None:
    first = await any_store.append("run", noted("x"), idempotency_key="k")

    async with open_any(server.url, namespace=namespace) as another:
        again = await another.append("run", noted("x"), idempotency_key="k")

    assert (again.positions, again.deduplicated) == (first.positions, True)


async def test_a_key_outlives_the_server(own_server: Server) -> None:
    async with EventStore.open(own_server.url) as store:
        first = await store.append("run", notes(2), idempotency_key="k")
    own_server.restart()

    async with EventStore.open(own_server.url) as store:
        again = await store.append("run", notes(2), idempotency_key="k")
        assert (again.positions, again.deduplicated) == (first.positions, True)
        assert (await store.head("run")).version == 2


@pytest.mark.parametrize(
    "other",
    [
        [noted("b")],
        [noted("a"), noted("a")],
        [NewEvent("note.changed", {"text": "a"})],
        [noted("a", workflow_id="another")],
        [noted("a", schema_version=2)],
    ],
)
async def test_a_key_with_other_content_is_a_conflict(
    any_store: EventStore, server: AnyServer, namespace: str, other: list[NewEvent]
) -> None:
    await any_store.append("run", noted("before"))
    await any_store.append("run", noted("a"), idempotency_key="k")
    before = contents(server, namespace)

    with pytest.raises(IdempotencyConflict) as caught:
        await any_store.append("run", other, idempotency_key="k")

    error = caught.value
    assert (error.run_id, error.idempotency_key, error.first_version) == ("run", "k", 2)
    assert contents(server, namespace) == before


async def test_ids_times_meta_and_the_order_of_keys_are_not_content(any_store: EventStore) -> None:
    await any_store.append("run", NewEvent("t", {"a": 1, "b": {"c": 2, "d": 3}}, id="one"),
                           idempotency_key="k")  # fmt: skip

    event = NewEvent("t", {"b": {"d": 3, "c": 2}, "a": 1}, id="two", meta={"actor": "another"})

    assert (await any_store.append("run", event, idempotency_key="k")).deduplicated


async def test_each_run_has_keys_of_its_own(any_store: EventStore) -> None:
    await any_store.append("a", noted("x"), idempotency_key="k")

    assert not (await any_store.append("b", noted("y"), idempotency_key="k")).deduplicated


@pytest.mark.parametrize("key", ["v", "s", "w", "t:x", "i:", " ", "ключ ✓", "é" * 100, "% |{}*\\"])
async def test_any_name_can_be_a_key(
    any_store: EventStore, server: AnyServer, namespace: str, key: str
) -> None:
    await any_store.append("run", noted("x"), idempotency_key=key)

    assert (await any_store.append("run", noted("x"), idempotency_key=key)).deduplicated
    assert len(assert_consistent(server, namespace)["run"]) == 1


async def test_of_many_with_the_same_key_one_writes_and_all_get_its_result(
    any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    tries = [any_store.append("run", notes(2), idempotency_key="k") for _ in range(20)]
    results = await asyncio.gather(*tries)

    assert {result.positions for result in results} == {results[0].positions}
    assert [result.deduplicated for result in results].count(False) == 1
    assert len(assert_consistent(server, namespace)["run"]) == 2


@pytest.mark.parametrize("expected", [ANY, NO_RUN, 0])
async def test_an_append_id_writes_what_was_not_written(
    any_store: EventStore, expected: Any
) -> None:
    result = await any_store.append("run", notes(2), expected=expected, append_id="from-an-error")

    assert (result.last_version, result.deduplicated) == (2, False)


@pytest.mark.parametrize("expected", [ANY, RUN_EXISTS, 1])
async def test_an_append_id_finds_what_was_written_though_others_followed(
    any_store: EventStore, server: AnyServer, namespace: str, expected: Any
) -> None:
    await any_store.append("run", noted())
    first = await any_store.append("run", notes(3), expected=expected, append_id="a")
    await any_store.append("run", notes(300))

    again = await any_store.append("run", notes(3), expected=expected, append_id="a")

    assert (again.first_version, again.last_version) == (2, 4)
    assert (again.positions, again.deduplicated) == (first.positions, True)
    assert len(assert_consistent(server, namespace)["run"]) == 304


async def test_an_append_id_whose_place_was_taken_by_another_was_never_written(
    any_store: EventStore,
) -> None:
    await any_store.append("run", noted("another's"), expected=NO_RUN)

    with pytest.raises(WrongExpectedVersion) as caught:
        await any_store.append("run", noted(), expected=NO_RUN, append_id="a")

    assert caught.value.actual == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_an_append_id_with_other_events_is_no_success(
    any_store: EventStore, server: AnyServer, namespace: str, count: int
) -> None:
    await any_store.append("run", notes(2), append_id="a")
    before = contents(server, namespace)

    with pytest.raises(IdempotencyConflict):
        await any_store.append("run", notes(count), append_id="a")

    assert contents(server, namespace) == before


async def test_an_append_id_beside_a_key_settles_as_well(any_store: EventStore) -> None:
    first = await any_store.append("run", noted("x"), idempotency_key="k", append_id="a")

    again = await any_store.append("run", noted("x"), idempotency_key="k", append_id="a")

    assert (again.positions, again.deduplicated) == (first.positions, True)
