"""Questions about tool, model and HTTP calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from projections.queries.base import Listing, Order, Queries, chosen, filtered
from projections.queries.conditions import Conditions, maybe_moment, moment
from projections.queries.page import Page

STATUSES = ("running", "completed", "failed", "restarted", "ended")

_BY_START = ("started_ms", "run_id", "version")
_KINDS = (int, str, int)
ORDERS = {
    "started": Order(_BY_START, _KINDS),
    "-started": Order(_BY_START, _KINDS, descending=True),
}
"""The orders of ``list_calls``; a minus means downwards: latest first."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. What went in and out stands in the timeline, at ``version``, ``ended_version``.

    ``status`` is ``running``, ``completed``, ``failed``, ``restarted`` (another began under its
    id) or ``ended`` (with the run). ``usage`` is what the call says it used, such as tokens.
    """

    run_id: str
    version: int
    call_id: str
    parent_call_id: str | None
    workflow_id: str | None
    node_id: str | None
    kind: str | None
    name: str | None
    status: str
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    ended_version: int | None
    usage: dict[str, Any] | None
    error: dict[str, Any] | None


_COLUMNS = (
    "run_id, version, call_id, parent_call_id, workflow_id, node_id, kind, name, status, "
    "started_ms, ended_ms, ended_version, usage, error"
)


def _make_call(
    run_id: str,
    version: int,
    call_id: str,
    parent_call_id: str | None,
    workflow_id: str | None,
    node_id: str | None,
    kind: str | None,
    name: str | None,
    status: str,
    started_ms: int,
    ended_ms: int | None,
    ended_version: int | None,
    usage: str | None,
    error: str | None,
) -> Call:
    return Call(
        run_id=run_id,
        version=version,
        call_id=call_id,
        parent_call_id=parent_call_id,
        workflow_id=workflow_id,
        node_id=node_id,
        kind=kind,
        name=name,
        status=status,
        started_at=moment(started_ms),
        ended_at=maybe_moment(ended_ms),
        duration_seconds=None if ended_ms is None else max(0, ended_ms - started_ms) / 1_000,
        ended_version=ended_version,
        usage=None if usage is None else orjson.loads(usage),
        error=None if error is None else orjson.loads(error),
    )


_CALLS = Listing("calls", _COLUMNS, _make_call)
_OF_RUN = Order(("version",), (int,))


class Calls(Queries):
    """Which calls were made, how they went, and what they used."""

    projection = "runs"

    @filtered
    def list_calls(
        self,
        *,
        run_id: str | None = None,
        kind: str | None = None,
        name: str | None = None,
        status: str | Iterable[str] | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        order: str = "-started",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Call]:
        """List the calls that meet all filters, ``limit`` of 1 to 1,000 a page.

        Those of one run come in the order of its events, whatever ``order`` says. Times need a
        zone. Raises ``InvalidArgument`` for a value, order or cursor it cannot take.
        """
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        conditions.equal("kind", kind)
        conditions.equal("name", name)
        conditions.among("status", status, STATUSES)
        conditions.between("started_ms", started_after, started_before)
        by = chosen(ORDERS, order)
        return self._page(_CALLS, conditions, by if run_id is None else _OF_RUN, limit, cursor)
