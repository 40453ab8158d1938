"""What may be answered: JSON Schema, by the library ``jsonschema``, which is optional."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from eventstore import InvalidArgument

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_PROBLEMS = 5
MAX_PROBLEM_CHARACTERS = 200


def check_schema(schema: Any) -> None:
    """Raise ``InvalidArgument`` for what is no schema that answers can be checked against.

    References must stay within the schema: nothing is ever fetched.
    """
    if not isinstance(schema, dict):
        raise InvalidArgument("decision_schema must be a JSON object, a JSON Schema")
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    validator = _validator(schema)
    try:
        type(validator).check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "the whole"
        raise InvalidArgument(
            f"decision_schema is no JSON Schema: {where}: {error.message}"
        ) from None
    for reference in _references(schema):
        _check_reference(schema, reference)


def problems_of(schema: dict[str, Any], answer: Any) -> list[str]:
    """Say where and why an answer does not fit a schema; at most ``MAX_PROBLEMS`` of it."""
    found = _validator(schema).iter_errors(answer)
    return [_told(error) for error in islice(found, MAX_PROBLEMS)]


def _told(error: Any) -> str:
    place = "/".join(map(str, error.absolute_path))
    text = f"{place}: {error.message}" if place else str(error.message)
    return text if len(text) <= MAX_PROBLEM_CHARACTERS else text[: MAX_PROBLEM_CHARACTERS - 1] + "…"


def _validator(schema: dict[str, Any]) -> Validator:
    try:
        from jsonschema import Draft202012Validator  # noqa: PLC0415
        from jsonschema.validators import validator_for  # noqa: PLC0415
        from jsonschema_specifications import REGISTRY  # noqa: PLC0415
    except ModuleNotFoundError:
        raise InvalidArgument(
            "decision_schema needs the library jsonschema: pip install 'runstore[all]'"
        ) from None
    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=REGISTRY)  # of its own accord it would ask the network


def _references(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from (item[name] for name in ("$ref", "$dynamicRef") if name in item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_reference(schema: dict[str, Any], reference: Any) -> None:
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    if not isinstance(reference, str):
        return  # a property of that name
    root = DRAFT202012.create_resource(schema)
    try:
        Registry().resolver_with_root(root).lookup(reference)
    except (Unresolvable, ValueError):
        raise InvalidArgument(
            f"decision_schema refers to {reference!r}, which is not in it; nothing is fetched"
        ) from None
