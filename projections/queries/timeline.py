"""Questions about what happened, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from eventstore.errors import InvalidArgument, RunNotFound
from projections.queries.base import Listing, Order, Queries
from projections.queries.conditions import Conditions, check_text, moment
from projections.queries.page import MAX_LIMIT, Page
from projections.queries.spans import Span, spans_of

SOURCES = ("run", "node", "call", "pause", "signal", "log", "message", "custom")

_OF_RUN = ("version",)
_OF_WORKFLOW = ("occurred_ms", "run_id", "version")


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event as people read it."""

    run_id: str
    version: int
    type: str
    source: str
    workflow_id: str | None
    node_id: str | None
    actor: str | None
    occurred_at: datetime
    recorded_at: datetime
    event_id: str
    data: dict[str, Any]
    meta: dict[str, Any]


def _make_entry(
    run_id: str,
    version: int,
    kind: str,
    source: str,
    workflow_id: str | None,
    node_id: str | None,
    actor: str | None,
    occurred_ms: int,
    recorded_ms: int,
    event_id: str,
    data: str,
    meta: str,
) -> TimelineEntry:
    return TimelineEntry(
        run_id=run_id,
        version=version,
        type=kind,
        source=source,
        workflow_id=workflow_id,
        node_id=node_id,
        actor=actor,
        occurred_at=moment(occurred_ms),
        recorded_at=moment(recorded_ms),
        event_id=event_id,
        data=orjson.loads(data),
        meta=orjson.loads(meta),
    )


_TIMELINE = Listing(
    "timeline",
    "run_id, version, type, source, workflow_id, node_id, actor, occurred_ms, recorded_ms, "
    "event_id, data, meta",
    _make_entry,
)


class Timeline(Queries):
    """What happened in a run, or in all runs of a workflow."""

    projection = "timeline"

    def timeline(
        self,
        run_id: str | None = None,
        *,
        workflow_id: str | None = None,
        types: str | Iterable[str] | None = None,
        sources: str | Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[TimelineEntry]:
        """List events of one run by version, or of one workflow by the time they occurred.

        ``since`` is included, ``until`` is not; both need a zone. Raises ``RunNotFound``, and
        ``InvalidArgument`` for a value or cursor it cannot take.
        """
        if (run_id is None) == (workflow_id is None):
            raise InvalidArgument("give either run_id or workflow_id")
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        conditions.equal("workflow_id", workflow_id)
        conditions.among("type", types)
        conditions.among("source", sources, SOURCES)
        conditions.between("occurred_ms", since, until)
        page = self._page(
            _TIMELINE, conditions, _order(run_id, newest_first=newest_first), limit, cursor
        )
        if run_id is not None and not page.items:
            self._check_exists(run_id)
        return page

    def spans(self, run_id: str) -> list[Span]:
        """Give the run's nodes, calls and pauses as intervals. Raises ``RunNotFound``."""
        return spans_of(self._entries(run_id))

    def counts_by_type(self) -> dict[str, int]:
        """Count the events of each type."""
        return dict(self._rows("SELECT type, events FROM event_types ORDER BY type"))

    def _entries(self, run_id: str) -> Iterable[TimelineEntry]:
        cursor = None
        while True:
            page = self.timeline(run_id=run_id, limit=MAX_LIMIT, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _check_exists(self, run_id: str) -> None:
        if not self._rows(
            "SELECT 1 FROM timeline WHERE run_id = ? LIMIT 1", check_text("run_id", run_id)
        ):
            raise RunNotFound(run_id)


def _order(run_id: str | None, *, newest_first: bool) -> Order:
    if run_id is not None:
        return Order(_OF_RUN, (int,), descending=newest_first)
    return Order(_OF_WORKFLOW, (int, str, int), descending=newest_first)
