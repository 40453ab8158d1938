"""The different values of runs: what a person may choose a filter from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from eventstore.errors import InvalidArgument
from projections.database import Transaction
from projections.queries.base import Queries, filtered
from projections.queries.conditions import check_text
from projections.queries.distinct import Column, leap
from projections.queries.page import Key, Page, fingerprint

FIELDS = ("workflow_id", "definition_hash", "label", "label_value", "node_id", "agent")
"""What ``distinct`` knows."""

_WORKFLOWS = Column("runs", "workflow_id")
_COLUMNS = {
    "workflow_id": _WORKFLOWS,
    "label": Column("run_labels", "name"),
    "agent": Column("thread_runs", "workflow_id"),
}
_MANY = 1_000_000


class Values(Queries):
    """Asks for different values."""

    @filtered
    def distinct(
        self,
        field: str,
        *,
        workflow_id: str | None = None,
        label: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Any]:
        """Give the different values of a field, sorted, ``limit`` of 1 to 1,000 a page.

        ``field`` is one of ``FIELDS``: an ``agent`` is a workflow whose runs have messages;
        ``label`` are names, ``label_value`` the values of the one that ``label`` names;
        ``definition_hash`` and ``node_id`` can be those of one workflow. Raises
        ``InvalidArgument`` for what it cannot take.
        """
        if field not in FIELDS:
            raise InvalidArgument(f"field must be one of {', '.join(FIELDS)}, not {field!r}"[:300])
        _check_scope(field, workflow_id, label)
        owner = fingerprint("distinct", field, workflow_id, label)
        decode = orjson.loads if field == "label_value" else str

        def fetch(tx: Transaction, key: Key | None, count: int, *, back: bool) -> list[Any]:
            return _values(tx, field, workflow_id or label, key, count, back=back)

        return self._paged(
            owner, (str,), fetch, limit, cursor, key_of=tuple, make=lambda row: decode(row[0])
        )


def _check_scope(field: str, workflow_id: str | None, label: str | None) -> None:
    if workflow_id is not None:
        check_text("workflow_id", workflow_id)
        if field not in ("definition_hash", "node_id"):
            raise InvalidArgument("workflow_id narrows definition_hash and node_id only")
    if (label is not None) != (field == "label_value"):
        raise InvalidArgument("label goes with label_value: the values of the label of that name")
    if label is not None:
        check_text("label", label)


def _values(
    tx: Transaction, field: str, within: str | None, key: Key | None, count: int, *, back: bool
) -> list[Any]:
    if field in _COLUMNS:
        return leap(tx, _COLUMNS[field], key, count, back=back)
    if field == "label_value":
        return leap(tx, Column("run_labels", "value", "name = ?", (within,)), key, count, back=back)
    make = _NODES if field == "node_id" else _DEFINITIONS
    if within is not None:
        return leap(tx, make(within), key, count, back=back)
    found: set[Any] = set()  # the index has the workflow first: ask for each
    for workflow in [None, *(row[0] for row in leap(tx, _WORKFLOWS, None, _MANY, back=False))]:
        found.update(leap(tx, make(workflow), key, count, back=back))
    return sorted(found, reverse=back)[:count]


def _column(table: str, name: str, also: str) -> Callable[[str | None], Column]:
    return lambda workflow_id: Column(table, name, f"workflow_id IS ?{also}", (workflow_id,))


_NODES = _column("nodes", "node_id", "")
_DEFINITIONS = _column("runs", "definition_hash", " AND definition_hash IS NOT NULL")
