"""A service's handlers get their events, typed, and nobody else's."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from faults import soon
from group_samples import AT_ONCE, pending
from pydantic import BaseModel, field_validator
from samples import ended, noted
from servers import AnyServer

from eventstore import Delivery, EventStore, InvalidArgument, NewEvent, RecordedEvent, Service
from eventstore.events.payloads import NodeEvent, Payload, RunCompleted


class Paid(BaseModel):
    amount: int
    currency: str = "EUR"

    @field_validator("currency")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value == "BROKEN":
            raise RuntimeError("the list of currencies cannot be read")
        return value


@asynccontextmanager
async def served(service: Service, store: EventStore) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run(store))
    try:
        yield
        service.stop()
        async with asyncio.timeout(20):
            await task
    finally:
        task.cancel()


def service_called(name: str = "s") -> Service:
    return Service(name, create=True, backoff=AT_ONCE, member="m")


def paid(amount: Any = 1, *, workflow_id: str | None = None, **more: Any) -> NewEvent:
    return NewEvent("order.paid", {"amount": amount, **more}, workflow_id=workflow_id)


async def test_each_event_goes_to_the_one_handler_that_is_for_it(store: EventStore) -> None:
    # given
    service, seen = service_called(), dict[str, list[tuple[str, int]]]()

    def note(name: str, event: RecordedEvent) -> None:
        seen.setdefault(name, []).append((event.run_id, event.version))

    @service.on("order.paid", workflow_ids="vip")
    async def vip(event: RecordedEvent) -> None:
        note("vip", event)

    @service.on("order.paid", workflow_ids={"shop", "web"})
    def shop(event: RecordedEvent) -> None:
        note("shop", event)

    @service.on("run.completed")
    async def done(event: RecordedEvent) -> None:
        note("done", event)

    # when
    await store.append("v", [paid(workflow_id="vip"), noted(), paid(2), ended()])
    await store.append("s", [paid(workflow_id="shop"), paid(2), ended()])
    await store.append("o", [paid(workflow_id="other"), paid(2), ended()])
    async with served(service, store):
        await soon(lambda: service.counts.done == 10)
    # then
    assert seen["vip"] == [("v", 1), ("v", 3)]
    assert seen["shop"] == [("s", 1), ("s", 2)]
    assert sorted(seen["done"]) == [("o", 3), ("s", 3), ("v", 4)]


async def test_parameters_get_what_their_annotations_say(store: EventStore) -> None:
    service, calls = service_called(), list[tuple[Any, ...]]()

    @service.on("order.paid")
    async def on_paid(
        delivery: Delivery, given: EventStore, /, event: RecordedEvent, *, payload: Paid, x: int = 7
    ) -> None:
        calls.append((delivery, given, event, payload, x))

    result = await store.append("run", paid(990))
    async with served(service, store):
        await soon(lambda: calls)

    [(delivery, given, event, payload, x)] = calls
    assert (delivery.group, delivery.member, delivery.attempt) == ("s", "m", 1)
    assert delivery.partition == result.positions[0].partition
    assert delivery.epoch >= 1
    assert given is store
    assert (event.run_id, event.type) == ("run", "order.paid")
    assert payload == Paid(amount=990)
    assert x == 7


async def test_built_in_types_come_as_their_models(store: EventStore) -> None:
    service, payloads = service_called(), list[Payload]()

    @service.on("node.started", "run.completed")
    async def note(event: RecordedEvent, payload: Payload) -> None:
        payloads.append(payload)

    ending = NewEvent("run.completed", {"output": 42})
    await store.append("run", [NewEvent("node.started", {"node_id": "n"}), ending])
    async with served(service, store):
        await soon(lambda: len(payloads) == 2)

    assert payloads == [NodeEvent(node_id="n"), RunCompleted(output=42)]


async def test_plain_functions_run_in_threads_and_keep_their_context(store: EventStore) -> None:
    service, threads = service_called(), list[tuple[bool, str]]()
    who = contextvars.ContextVar("who", default="nobody")
    who.set("the service's starter")

    @service.on("order.paid")
    def note(event: RecordedEvent) -> None:
        threads.append((threading.current_thread() is threading.main_thread(), who.get()))

    await store.append("run", paid())
    async with served(service, store):
        await soon(lambda: threads)

    assert threads == [(False, "the service's starter")]


async def test_a_plain_function_that_gives_something_to_await_is_awaited(store: EventStore) -> None:
    service, seen = service_called(), list[int]()

    async def later(version: int) -> None:
        await asyncio.sleep(0)
        seen.append(version)

    @service.on("order.paid")
    def note(event: RecordedEvent) -> Any:
        return later(event.version)

    await store.append("run", [paid(), paid()])
    async with served(service, store):
        await soon(lambda: service.counts.handled == 2)

    assert seen == [1, 2]


@pytest.mark.parametrize("form", ["async", "plain"])
async def test_a_handler_that_fails_gets_its_event_again(store: EventStore, form: str) -> None:
    service, attempts = service_called(), list[int]()

    def fail_first(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) < 3:
            raise StopIteration  # the worst one: no future can carry it

    async def note(event: RecordedEvent, delivery: Delivery) -> None:
        fail_first(delivery)

    def note_plainly(event: RecordedEvent, delivery: Delivery) -> None:
        fail_first(delivery)

    service.on("order.paid")(note if form == "async" else note_plainly)
    await store.append("run", paid())
    async with served(service, store):
        await soon(lambda: service.counts.handled == 1)

    assert attempts == [1, 2, 3]


async def test_data_that_do_not_fit_park_the_event_at_once(
    store: EventStore, server: AnyServer
) -> None:
    # given a handler that wants numbers
    service, amounts = service_called(), list[tuple[str, int]]()

    @service.on("order.paid")
    async def note(event: RecordedEvent, payload: Paid) -> None:
        amounts.append((event.run_id, payload.amount))

    # when one run has another amount
    await store.append("bad", [paid("secret-text"), paid(2)])
    await store.append("good", [paid(1), paid(2)])
    async with served(service, store):
        await soon(lambda: len(amounts) == 2 and not pending(store, server.admin, "s"))
        # then it was not tried again, and the reason says which field, but not its value
        assert service.counts.failed <= 1
    assert amounts == [("good", 1), ("good", 2)]
    keys, partition = store.operations.keys, (await store.load("bad"))[0].position.partition
    [(_, dead)] = server.admin.xrange(keys.dead(partition, "s"))
    assert (dead[b"r"], dead[b"v"], dead[b"d"]) == (b"bad", b"1", b"1")
    message = dead[b"m"].decode()
    assert "amount: Input should be a valid integer" in message
    assert "secret-text" not in message + dead[b"b"].decode()


async def test_a_model_that_breaks_is_a_failure_like_any_other(store: EventStore) -> None:
    service = service_called()

    @service.on("order.paid")
    async def note(event: RecordedEvent, payload: Paid) -> None: ...

    await store.append("run", paid(currency="BROKEN"))
    async with served(service, store):
        await soon(lambda: service.counts.failed >= 2)


async def test_a_handler_may_append(store: EventStore) -> None:
    service, seen = service_called(), list[str]()

    @service.on("order.paid")
    async def ship(event: RecordedEvent, store: EventStore) -> None:
        await store.append(event.run_id, noted("shipped"), idempotency_key=event.id)

    @service.on("note.taken")
    def note(event: RecordedEvent) -> None:
        seen.append(event.data["text"])

    await store.append("run", paid())
    async with served(service, store):
        await soon(lambda: seen == ["shipped"])


# Starting and stopping


async def test_two_services_share_one_store_and_one_loop(store: EventStore) -> None:
    seen = list[str]()

    def note_as(name: str) -> Callable[..., Any]:
        async def note(event: RecordedEvent) -> None:
            seen.append(name)

        return note

    services = [service_called(name) for name in ("one", "two")]
    for service in services:
        service.on()(note_as(service.name))
    await store.append("run", noted())
    async with served(services[0], store), served(services[1], store):
        await soon(lambda: sorted(seen) == ["one", "two"])


async def test_a_service_runs_once_at_a_time_and_then_again(store: EventStore) -> None:
    service, seen = service_called(), list[int]()

    @service.on()
    async def note(event: RecordedEvent) -> None:
        seen.append(event.version)

    await store.append("run", noted())
    async with served(service, store):
        await soon(lambda: seen == [1])
        with pytest.raises(InvalidArgument, match="runs already"):
            await service.run(store)
        with pytest.raises(InvalidArgument, match=r"runs already; declare .*note before"):
            service.on("order.paid")(note)
    await store.append("run", noted())
    async with served(service, store):
        await soon(lambda: seen == [1, 2])


async def test_a_stop_before_the_start_ends_it_at_once(store: EventStore) -> None:
    service = service_called()

    @service.on()
    async def note(event: RecordedEvent) -> None:
        pytest.fail("it was told to stop")

    await store.append("run", noted())
    service.stop()
    await service.run(store)


async def test_what_is_in_hand_is_finished_before_the_end(store: EventStore) -> None:
    service, begun, may_end = service_called(), asyncio.Event(), asyncio.Event()

    @service.on()
    async def wait(event: RecordedEvent) -> None:
        begun.set()
        await may_end.wait()

    await store.append("run", noted())
    task = asyncio.create_task(service.run(store))
    await begun.wait()
    service.stop()
    may_end.set()
    await task

    assert service.counts.handled == 1
