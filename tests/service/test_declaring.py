"""A service's mistakes are told when they are made: while it is declared or when it starts."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from eventstore import Delivery, EventStore, InvalidArgument, RecordedEvent, Service, UnknownGroup
from eventstore.events.payloads import NodeCompleted, NodeEvent, Payload, RunCompleted, RunFailed

if TYPE_CHECKING:
    from decimal import Decimal


class Paid(BaseModel):
    amount: int


class Refunded(BaseModel):
    amount: int


# Handlers that fit


async def plain(event: RecordedEvent) -> None: ...


def blocking(event: RecordedEvent) -> None: ...


def everything(
    delivery: Delivery, store: EventStore, payload: Paid, event: RecordedEvent
) -> None: ...


def by_place(event: RecordedEvent, payload: Paid, /) -> None: ...


def by_name(*, event: RecordedEvent, payload: Paid) -> None: ...


def with_defaults(event: RecordedEvent, times: int = 3, *rest: int, **more: int) -> None: ...


class Mailer:
    async def __call__(self, event: RecordedEvent) -> None: ...

    def send(self, event: RecordedEvent) -> None: ...


def with_a_helper(mailer: Mailer, event: RecordedEvent) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [
        plain,
        blocking,
        everything,
        by_place,
        by_name,
        with_defaults,
        Mailer(),
        Mailer().send,
        functools.partial(with_a_helper, Mailer()),
    ],
)
def test_a_handler_that_fits_is_given_back_as_it_was(handler: Callable[..., Any]) -> None:
    assert Service("s").on("order.paid")(handler) is handler


# Handlers that do not


def no_event(payload: Paid) -> None: ...


def nothing() -> None: ...


def not_annotated(event) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def unknown_kind(event: RecordedEvent, text: str) -> None: ...


def two_events(event: RecordedEvent, other: RecordedEvent) -> None: ...


def two_payloads(event: RecordedEvent, payload: Paid, other: Refunded) -> None: ...


def either(event: RecordedEvent, payload: Paid | Refunded) -> None: ...


def maybe(event: RecordedEvent, payload: Paid | None) -> None: ...


def hidden(event: RecordedEvent, payload: Decimal) -> None: ...


def built_in_base(event: RecordedEvent, payload: Payload) -> None: ...


def yields(event: RecordedEvent) -> Iterator[int]:
    yield 1


async def yields_async(event: RecordedEvent) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (no_event, "no_event.*takes no event"),
        (nothing, "takes no event"),
        (not_annotated, "'event' must be annotated"),
        (unknown_kind, "'text' must be annotated"),
        (two_events, "'event' and 'other' both ask for RecordedEvent"),
        (two_payloads, "'payload' and 'other' both ask for a pydantic model"),
        (either, r"Paid \| Refunded is not the payload of order.paid: give it one model"),
        (maybe, "'payload' must be annotated"),
        (hidden, "hidden cannot be read .*Decimal.* TYPE_CHECKING"),
        (built_in_base, "Payload is not the payload of order.paid"),
        (yields, "yields"),
        (yields_async, "yields"),
        ("tell", "not 'tell'"),
        (None, "not None"),
    ],
)
def test_a_handler_that_nothing_can_be_passed_to_is_refused(handler: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        Service("s").on("order.paid")(handler)


def test_a_payload_needs_types() -> None:
    with pytest.raises(InvalidArgument, match="needs named types"):
        Service("s").on()(everything)


@pytest.mark.parametrize("types", [("",), (1,), ("a.b", None)])
def test_types_are_names(types: Any) -> None:
    with pytest.raises(InvalidArgument, match="types"):
        Service("s").on(*types)


def test_no_workflow_at_all_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="workflow_ids"):
        Service("s").on("order.paid", workflow_ids=())


def test_the_decorator_needs_its_parentheses() -> None:
    with pytest.raises(InvalidArgument, match=r"@service\.on\(…\)"):
        Service("s").on(plain)  # type: ignore[arg-type]


# Models of built-in types


def completed(event: RecordedEvent, payload: RunCompleted) -> None: ...


def ended(event: RecordedEvent, payload: RunCompleted | RunFailed) -> None: ...


def node(event: RecordedEvent, payload: NodeEvent) -> None: ...


def node_completed(event: RecordedEvent, payload: NodeCompleted) -> None: ...


@pytest.mark.parametrize(
    ("types", "handler"),
    [
        (["run.completed"], completed),
        (["run.completed", "run.failed"], ended),
        (["run.completed", "node.started", "node.completed"], built_in_base),
        (["node.started", "node.completed"], node),
        (["run.completed"], everything),  # a model of one's own for a built-in type
    ],
)
def test_built_in_types_take_their_own_models(
    types: list[str], handler: Callable[..., Any]
) -> None:
    assert Service("s").on(*types)(handler) is handler


@pytest.mark.parametrize(
    ("types", "handler", "told"),
    [
        (["run.failed"], completed, "RunCompleted is not the payload of run.failed: it is RunFail"),
        (["run.aborted", "run.completed"], ended, "not the payload of run.aborted"),
        (["node.started"], node_completed, "not the payload of node.started: it is NodeEvent"),
        (["order.paid"], completed, "not the payload of order.paid: give it one model"),
    ],
)
def test_the_model_of_another_built_in_type_is_a_mistake(
    types: list[str], handler: Callable[..., Any], told: str
) -> None:
    with pytest.raises(InvalidArgument, match=told):
        Service("s").on(*types)(handler)


# Which handler is it for?

A, B = {"a"}, {"b"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["x.y"], None), (["x.y"], None)),
        ((["x.y", "x.z"], None), (["x.w", "x.z"], None)),
        ((["x.y"], A), (["x.y"], None)),
        ((["x.y"], A), (["x.y"], A | B)),
        (([], None), (["x.y"], A)),
        (([], A), ([], A)),
    ],
)
def test_two_handlers_for_one_event_are_refused(first: Any, second: Any) -> None:
    for one, other in [(first, second), (second, first)]:
        service = Service("s")
        service.on(*one[0], workflow_ids=one[1])(plain)
        with pytest.raises(InvalidArgument, match=r"plain and blocking .* one handler"):
            service.on(*other[0], workflow_ids=other[1])(blocking)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["x.y"], None), (["x.z"], None)),
        ((["x.y"], A), (["x.y"], B)),
        ((["x.y"], A), (["x.z"], A)),
        (([], A), ([], B)),
    ],
)
def test_handlers_for_different_events_go_together(first: Any, second: Any) -> None:
    service = Service("s")
    for (types, workflow_ids), handler in [(first, plain), (second, blocking)]:
        service.on(*types, workflow_ids=workflow_ids)(handler)
    assert "2 handlers" in repr(service)


# At the start


@pytest.mark.parametrize("name", ["", 1, "x" * 300, "a\nb"])
def test_a_service_needs_the_name_of_a_group(name: Any) -> None:
    with pytest.raises(InvalidArgument, match="name"):
        Service(name)


def test_an_option_that_there_is_not_is_told_when_the_service_is_declared() -> None:
    with pytest.raises(InvalidArgument, match=r"no option max_delivery; .*max_deliveries"):
        Service("s", max_delivery=3)  # type: ignore[call-arg]


async def test_a_service_without_handlers_does_not_start(store: EventStore) -> None:
    with pytest.raises(InvalidArgument, match="nothing to serve"):
        await Service("s", create=True).run(store)


async def test_a_wrong_option_is_told_at_the_start(store: EventStore) -> None:
    service = Service("s", create=True, concurrency=0)
    service.on()(blocking)
    with pytest.raises(InvalidArgument, match="concurrency"):
        await service.run(store)


async def test_a_group_is_only_made_on_purpose(store: EventStore) -> None:
    service = Service("mistyped")
    service.on()(plain)
    with pytest.raises(UnknownGroup):
        await service.run(store)
