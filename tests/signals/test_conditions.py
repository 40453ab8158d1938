"""Conditions: which hold for which payload, and which are refused when they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import InvalidEvent, NewEvent
from eventstore.events.conditions import OPERATORS, find, hold, holds, is_same
from eventstore.watches import prefix_of

PAYLOAD = {
    "order": {"id": 7, "items": [{"sku": "a"}, {"sku": "b"}], "total": 12.5},
    "paid": True,
    "note": None,
    "name": "ann",
    "0": "zero",
}
NO_NUMBERS: list[Any] = ["12", True, False, None, [1], {"n": 1}]
MISSING = ["nothing", "order.nothing", "name.first", "order.items.2", "order.items.-1", "note.x"]

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(
    allow_nan=False, allow_infinity=False
) | st.text(max_size=5)  # fmt: skip
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def condition(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("order.id", "==", 7, True),
        ("order.id", "==", 7.0, True),
        ("order.id", "==", "7", False),
        ("order.id", "!=", "7", True),
        ("order.id", "!=", 7.0, False),
        ("order.items.1.sku", "==", "b", True),
        ("0", "==", "zero", True),
        ("paid", "==", True, True),
        ("paid", "==", 1, False),
        ("paid", "!=", 1, True),
        ("note", "==", None, True),
        ("note", "!=", None, False),
        ("note", "exists", None, True),
        ("order", "exists", None, True),
        ("order.items", "==", [{"sku": "a"}, {"sku": "b"}], True),
        ("order.items", "!=", [{"sku": "a"}], True),
        ("order.total", ">", 12, True),
        ("order.total", ">", 12.5, False),
        ("order.total", ">=", 12.5, True),
        ("order.total", "<", 12.5, False),
        ("order.total", "<=", 12.5, True),
        ("order.total", "<", 13, True),
    ],
)
def test_a_condition_holds_or_not(field: str, op: str, value: Any, expected: bool) -> None:
    assert holds(condition(field, op, value), PAYLOAD) is expected


@pytest.mark.parametrize("field", MISSING)
@pytest.mark.parametrize("op", OPERATORS)
def test_a_missing_field_fails_every_operator(field: str, op: str) -> None:
    value = None if op == "exists" else 1
    assert not holds(condition(field, op, value), PAYLOAD)
    assert not holds(condition(field, op), PAYLOAD)


@pytest.mark.parametrize("payload", [None, "text", 7, [], [1, 2], True])
@pytest.mark.parametrize("op", OPERATORS)
def test_a_payload_that_is_no_object_has_no_fields(payload: Any, op: str) -> None:
    assert not holds(condition("a", op, None if op == "exists" else 1), payload)


@pytest.mark.parametrize("found", NO_NUMBERS)
@pytest.mark.parametrize("op", [">", ">=", "<", "<="])
def test_relational_operators_compare_numbers_only(found: Any, op: str) -> None:
    assert not holds(condition("a", op, 0), {"a": found})
    assert not holds(condition("a", op, found), {"a": 0})  # as an old event may hold it


def test_all_conditions_must_hold() -> None:
    good, bad = condition("order.id", "==", 7), condition("paid", "==", False)
    assert hold([], PAYLOAD)
    assert hold([good, good], PAYLOAD)
    assert not hold([good, bad], PAYLOAD)
    assert not hold([bad, good], PAYLOAD)


@given(
    left=st.integers() | st.floats(allow_nan=False),
    right=st.integers() | st.floats(allow_nan=False),
)
def test_relations_of_numbers_are_those_of_mathematics(left: float, right: float) -> None:
    payload = {"n": left}
    assert holds(condition("n", ">", right), payload) == (left > right)
    assert holds(condition("n", ">=", right), payload) == (left >= right)
    assert holds(condition("n", "<", right), payload) == (left < right)
    assert holds(condition("n", "<=", right), payload) == (left <= right)
    assert holds(condition("n", "==", right), payload) == (left == right)


@given(value=json_values, other=json_values)
def test_equal_and_unequal_are_opposites_where_the_field_is_there(value: Any, other: Any) -> None:
    payload = {"a": {"b": value}}
    assert holds(condition("a.b", "==", value), payload)
    assert holds(condition("a.b", "==", other), payload) != holds(
        condition("a.b", "!=", other), payload
    )


@given(left=scalars, right=scalars)
def test_the_index_tells_plain_values_apart_just_as_conditions_do(left: Any, right: Any) -> None:
    same_place = prefix_of("paid", "a", left) == prefix_of("paid", "a", right)
    assert same_place == is_same(left, right)


@given(
    path=st.lists(st.sampled_from(["a", "b", "0", "1", "x"]), min_size=1, max_size=4),
    value=json_values,
)
def test_a_path_leads_where_walking_step_by_step_does(path: list[str], value: Any) -> None:
    payload: Any = {"a": {"b": value, "0": [value, {"x": value}]}, "b": [value]}
    expected: Any = payload
    for name in path:
        if isinstance(expected, dict):
            expected = expected.get(name, MISSING)
        elif isinstance(expected, list) and name.isdigit() and int(name) < len(expected):
            expected = expected[int(name)]
        else:
            expected = MISSING
        if expected is MISSING:
            break
    assert find(payload, ".".join(path), MISSING) is expected


BAD = [
    (condition("a", "=~", 1), "op"),
    (condition("a", "", 1), "op"),
    (condition("a", "Exists"), "op"),
    (condition("", "==", 1), "field"),
    (condition(".", "==", 1), "field"),
    (condition("a..b", "==", 1), "field"),
    (condition(".a", "==", 1), "field"),
    (condition("a.", "==", 1), "field"),
    (condition("a\0b", "==", 1), "field"),
    (condition("a\nb", "==", 1), "field"),
    (condition("a" * 201, "==", 1), "field"),
    (condition("a", ">", "1"), "numbers"),
    (condition("a", "<=", True), "numbers"),
    (condition("a", "<"), "numbers"),
    (condition("a", "exists", True), "exists takes no value"),
    ({"field": "a", "op": "=="}, "needs a value"),
    ({"field": "a", "op": "!=", "valeu": 1}, "needs a value"),
    ({"op": "==", "value": 1}, "field"),
    ({"field": "a", "value": 1}, "op"),
    ({"field": 7, "op": "==", "value": 1}, "field"),
    ("a == 1", "conditions"),
    (condition("a", "==", math.nan), "NaN|nan"),
    (condition("a", ">", math.inf), "inf"),
]


@pytest.mark.parametrize(("bad", "told"), BAD)
def test_a_bad_condition_is_refused_when_the_watch_is_made(bad: Any, told: str) -> None:
    with pytest.raises(InvalidEvent, match=told):
        NewEvent("signal.watched", {"watch_id": "w", "type": "paid", "conditions": [bad]})
    waiting = {"pause_id": "p", "state": {}, "window_ms": None, "on_expiry": "park"}
    with pytest.raises(InvalidEvent, match=told):
        NewEvent("run.paused", {**waiting, "wait_for": [{"type": "paid", "conditions": [bad]}]})


def test_there_may_be_32_conditions_and_no_more() -> None:
    many = [condition("a", "==", n) for n in range(33)]
    NewEvent("signal.watched", {"watch_id": "w", "type": "paid", "conditions": many[:32]})
    with pytest.raises(InvalidEvent, match="32"):
        NewEvent("signal.watched", {"watch_id": "w", "type": "paid", "conditions": many})


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "a" * 201, "\ud800"])
def test_a_signal_type_that_could_not_be_found_by_index_is_refused(name: str) -> None:
    with pytest.raises(InvalidEvent, match="type"):
        NewEvent("signal.watched", {"watch_id": "w", "type": name})
