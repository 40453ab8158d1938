"""Projections of one's own: tested without a server, found by entry points; the examples."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from shipments import Shipments

from eventstore.errors import InvalidArgument
from eventstore.events import NewEvent, RecordedEvent
from projections import BUILT_IN, Projection, Transaction, installed
from projections.installed import installed_projections
from projections.testing import given, recorded
from projector_operations.samples import one_run

SHIPPED = NewEvent("order.shipped", {"customer": "a", "amount": 2})


def load_example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "own_projections.py"
    spec = importlib.util.spec_from_file_location("own_projections", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


EXAMPLE = load_example()
CALL = [
    NewEvent("call.started", {"call_id": "c", "name": "large"}, workflow_id="w"),
    NewEvent("call.completed", {"call_id": "c", "usage": {"input_tokens": 9, "output_tokens": 3}}),
]
PAUSE = {"pause_id": "p", "reason": "sign", "state": {}, "window_ms": None, "on_expiry": "park"}
PAUSED = NewEvent("run.paused", PAUSE, meta={"assignee": "ann"})


def test_given_events_then_rows() -> None:
    given(Shipments, [SHIPPED, SHIPPED]).then("SELECT * FROM shipments", [("a", 4)])
    given(Shipments(), {"r": [SHIPPED], "s": [SHIPPED]}).then(
        "SELECT amount FROM shipments WHERE customer = ?", [(4,)], "a"
    )
    with pytest.raises(AssertionError, match=r"found    \[\('a', 2\)\]"):
        given(Shipments, [SHIPPED]).then("SELECT * FROM shipments", [])


def test_new_events_are_recorded_as_a_store_would() -> None:
    first, second = recorded("r", CALL)
    assert (first.version, second.version, second.workflow_id) == (1, 2, "w")
    assert first.position < second.position
    assert recorded("r", [first]) == [first]


def test_sums_that_grow_are_not_idempotent_and_that_is_told() -> None:
    with pytest.raises(AssertionError, match=r"taken twice .* table shipments"):
        given(Shipments, [SHIPPED]).is_idempotent()


def test_rows_that_depend_on_batches_are_told() -> None:
    class Forgetful(Projection):
        name: ClassVar[str] = "forgetful"
        version: ClassVar[int] = 1
        schema: ClassVar[str] = "CREATE TABLE seen (n INTEGER);"

        def __init__(self) -> None:
            self.seen = 0

        def apply(self, tx: Transaction, event: RecordedEvent) -> None:  # noqa: ARG002
            self.seen += 1
            tx.execute("INSERT INTO seen VALUES (?)", (self.seen,))

    with pytest.raises(AssertionError, match="size of batches"):
        given(Forgetful, [SHIPPED, SHIPPED]).is_the_same_in_any_batches()
    given(Shipments, [SHIPPED, SHIPPED]).is_the_same_in_any_batches()


@pytest.mark.parametrize("projection", BUILT_IN)
def test_the_built_in_projections_are_idempotent_and_alike_in_any_batches(
    projection: type[Projection],
) -> None:
    runs = {f"r{number}": one_run(number) for number in range(3)}
    given(projection, runs).is_idempotent().is_the_same_in_any_batches()


# The examples.


def test_costs_are_summed_by_workflow_and_model() -> None:
    costs = given(EXAMPLE.CostReport, {"r": CALL, "s": CALL})
    costs.then("SELECT * FROM cost_report", [("w", "large", 2, 18, 6)])
    costs.is_idempotent().is_the_same_in_any_batches()
    deleted = [*CALL, NewEvent("run.deleted")]
    given(EXAMPLE.CostReport, deleted).then("SELECT * FROM call_costs", [])


@pytest.mark.parametrize("over", ["run.resumed", "run.completed", "run.deleted", None])
def test_a_run_is_waited_for_until_it_goes_on_or_ends(over: str | None) -> None:
    ending = (
        [NewEvent(over, {"pause_id": "p", "cause": "manual"} if over == "run.resumed" else {})]
        if over
        else []
    )
    whom = given(EXAMPLE.WaitingOnWhom, [PAUSED, *ending])
    whom.then("SELECT whom, reason FROM waiting", [] if over else [("ann", "sign")])
    whom.is_idempotent().is_the_same_in_any_batches()


# Entry points.


def found_at(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    found = [EntryPoint(name, where, installed.ENTRY_POINTS) for name, where in points.items()]

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == "runstore.projections"
        return found

    monkeypatch.setattr(installed, "entry_points", entry_points)


def test_packages_add_projections_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_projections() == BUILT_IN
    found_at(monkeypatch, shipments="shipments:Shipments", costs="own_projections:CostReport")
    assert installed_projections() == (*BUILT_IN, EXAMPLE.CostReport, Shipments)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ({"a": "nowhere:Nothing"}, r"'a' \(nowhere:Nothing\) cannot be loaded"),
        ({"a": "pathlib:Path"}, "is no Projection class"),
        ({"a": "projections:Projection"}, "no name or no apply"),
        ({"a": "shipments:Shipments", "b": "shipments:Shipments"}, "named 'shipments' already"),
    ],
)
def test_entry_points_that_are_no_projections_are_refused(
    monkeypatch: pytest.MonkeyPatch, points: dict[str, Any], told: str
) -> None:
    found_at(monkeypatch, **points)
    with pytest.raises(InvalidArgument, match=told):
        installed_projections()
