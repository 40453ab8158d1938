"""Older payloads are lifted while they are read; a missing step is found at start-up."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Opener
from servers import AnyServer

from eventstore import EventStore, InvalidArgument, NewEvent, SyncEventStore, Upcasters


def lifting() -> Upcasters:
    upcasters = Upcasters()

    @upcasters.register("order.placed", 1)
    def with_currency(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "currency": "EUR"}

    @upcasters.register("order.placed", 2)
    def in_cents(data: dict[str, Any]) -> dict[str, Any]:
        return {"cents": data["amount"] * 100, "currency": data["currency"]}

    return upcasters


async def test_an_old_payload_is_lifted_step_by_step_wherever_it_is_read(
    open_any: Opener, server: AnyServer, namespace: str
) -> None:
    async with open_any(server.url, namespace=namespace, upcasters=lifting()) as store:
        await store.append(
            "run",
            [
                NewEvent("order.placed", {"amount": 5}),
                NewEvent("order.placed", {"amount": 6, "currency": "CHF"}, schema_version=2),
                NewEvent("order.placed", {"cents": 7, "currency": "USD"}, schema_version=3),
                NewEvent("order.paid", {"amount": 5}),
            ],
        )

        expected = [
            ({"cents": 500, "currency": "EUR"}, 3),
            ({"cents": 600, "currency": "CHF"}, 3),
            ({"cents": 7, "currency": "USD"}, 3),
            ({"amount": 5}, 1),
        ]
        loaded = await store.load("run")
        assert [(event.data, event.schema_version) for event in loaded] == expected
        assert [event async for event in store.read_all()] == loaded
        assert await store.wait("run", 1, timeout=5) == loaded[0]


async def test_what_is_stored_stays_as_it_was(
    open_any: Opener, any_store: EventStore, server: AnyServer, namespace: str
) -> None:
    async with open_any(server.url, namespace=namespace, upcasters=lifting()) as lifted:
        await lifted.append("run", NewEvent("order.placed", {"amount": 5}))

    (event,) = await any_store.load("run")
    assert (event.data, event.schema_version) == ({"amount": 5}, 1)


@pytest.mark.parametrize("kind", [EventStore, SyncEventStore])
def test_a_missing_step_is_found_when_the_store_is_opened(
    kind: type[EventStore | SyncEventStore], server: AnyServer
) -> None:
    upcasters = Upcasters()
    upcasters.register("order.placed", 1)(dict)
    upcasters.register("order.placed", 3)(dict)

    with pytest.raises(InvalidArgument, match=r"order\.placed from schema version 2"):
        kind.open(server.url, upcasters=upcasters)


def test_a_step_is_registered_once_and_from_a_version_that_can_be() -> None:
    upcasters = Upcasters()
    upcasters.register("order.placed", 1)(dict)

    with pytest.raises(InvalidArgument, match="exists already"):
        upcasters.register("order.placed", 1)(dict)
    with pytest.raises(InvalidArgument, match="start at 1"):
        upcasters.register("order.placed", 0)(dict)
