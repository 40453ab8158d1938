"""The names that users give: run ids, namespaces, keys. And the ids that events get."""

from __future__ import annotations

import re
import sys

from eventstore.errors import InvalidArgument, InvalidRunId

if sys.version_info >= (3, 14):
    from uuid import uuid7 as _uuid7
else:
    from uuid_utils import uuid7 as _uuid7

MAX_NAME_BYTES = 200
"""Run ids, pause ids, idempotency keys and the like are at most this long in UTF-8."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMESPACE = re.compile(r"[a-z0-9_-]{1,64}")


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562): unique, and in the order of time."""
    return str(_uuid7())


def name_problem(value: object) -> str | None:
    """Say what is wrong with a name, or None for a good one."""
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}"
    if value.isascii() and value.isprintable() and 0 < len(value) <= MAX_NAME_BYTES:
        return None  # most are like this, and each append asks
    if not value:
        return "must not be empty"
    if _CONTROL.search(value):
        return "must not hold control characters or line breaks"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "must be valid Unicode"
    return f"is {size} bytes, over {MAX_NAME_BYTES}" if size > MAX_NAME_BYTES else None


def check_run_id(run_id: str) -> str:
    """Give back a good run id; raise ``InvalidRunId`` for any other."""
    problem = name_problem(run_id)
    if problem:
        raise InvalidRunId(run_id, problem)
    return run_id


def check_name(what: str, value: str) -> str:
    """Give back a good name; raise ``InvalidArgument`` naming ``what`` for any other."""
    problem = name_problem(value)
    if problem:
        raise InvalidArgument(f"{what} {problem}", value=value)
    return value


def check_namespace(namespace: str) -> str:
    """Give back a good namespace; raise ``InvalidArgument`` for any other."""
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise InvalidArgument(
            f"namespace {namespace!r} must match [a-z0-9_-]{{1,64}}", namespace=namespace
        )
    return namespace
