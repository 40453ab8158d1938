"""Conditions on a signal's payload: what they look like, and when they hold. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from eventstore.events.identifiers import MAX_NAME_BYTES, name_problem

MAX_CONDITIONS = 32
"""A watch has at most so many conditions."""

_MISSING = object()
_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
OPERATORS = ("==", "!=", *_RELATIONS, "exists")
"""Every operator. The relational ones compare numbers, and nothing else."""


def without_controls(name: str) -> str:
    """Give back a good name. Raises ``ValueError`` for any other."""
    problem = name_problem(name)
    if problem:
        raise ValueError(problem)
    return name


def check_field(path: str) -> str:
    """Give back a dotted field path. Raises ``ValueError`` for what is none."""
    if not all(without_controls(path).split(".")):
        raise ValueError("a field path is names with dots between them, such as order.items.0.id")
    return path


Operator = Literal["==", "!=", ">", ">=", "<", "<=", "exists"]


class Condition(BaseModel):
    """One condition on a signal's payload: a dotted field, an operator, a value.

    ``order.id`` is the field ``id`` of the object ``order``; a whole number counts the places of
    a list, from 0. Relational operators take a number, ``exists`` takes nothing.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    field: Annotated[str, AfterValidator(check_field)]
    op: Operator
    value: Any = None

    @model_validator(mode="after")
    def _check_value(self) -> Self:
        if self.op in _RELATIONS and not is_number(self.value):
            raise ValueError(f"{self.op} compares numbers only; its value must be one")
        if self.op == "exists" and self.value is not None:
            raise ValueError("exists takes no value")
        if self.op != "exists" and "value" not in self.model_fields_set:
            raise ValueError(f"{self.op} needs a value to compare with, which may be null")
        return self


def hold(conditions: Sequence[Mapping[str, Any]], payload: Any) -> bool:
    """Say whether all conditions hold for a payload; without conditions they do."""
    return all(holds(condition, payload) for condition in conditions)


def holds(condition: Mapping[str, Any], payload: Any) -> bool:
    """Say whether one condition holds. A field that is missing fails all but ``exists``.

    ``exists`` holds where the field is there, whatever its value, also null.
    """
    found, wanted = find(payload, condition["field"]), condition.get("value")
    compare: str = condition["op"]
    if found is _MISSING:
        return False
    if compare == "exists":
        return True
    if compare in _RELATIONS:
        return is_number(found) and is_number(wanted) and bool(_RELATIONS[compare](found, wanted))
    return is_same(found, wanted) == (compare == "==")


def find(payload: Any, path: str, default: Any = _MISSING) -> Any:
    """Give what a dotted path leads to in a payload, or the default."""
    for name in path.split("."):
        if isinstance(payload, Mapping) and name in payload:
            payload = payload[name]
        elif isinstance(payload, list) and _is_place(name) and int(name) < len(payload):
            payload = payload[int(name)]
        else:
            return default
    return payload


def _is_place(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= len(str(MAX_NAME_BYTES**2))


def is_number(value: Any) -> bool:
    """Say whether JSON calls it a number: true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_same(left: Any, right: Any) -> bool:
    """Say whether two JSON values are equal: 1 is 1.0, but neither "1" nor true."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_same(left[k], right[k]) for k in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(is_same, left, right))
    return type(left) is type(right) and bool(left == right)
