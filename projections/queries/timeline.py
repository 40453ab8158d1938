"""Questions about what happened, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from eventstore.errors import InvalidArgument, RunNotFound
from projections.queries.base import Listing, Order, Queries, filtered
from projections.queries.conditions import Conditions, check_text, moment
from projections.queries.page import MAX_LIMIT, Page, fingerprint
from projections.queries.search import Found
from projections.queries.spans import Span, spans_of
from projections.search import asked_words, feed_search

SOURCES = ("run", "node", "call", "pause", "signal", "log", "message", "custom")

_OF_RUN = ("version",)
_OF_WORKFLOW = ("occurred_ms", "rowid")


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


_COLUMNS = (
    "run_id, version, type, source, workflow_id, node_id, actor, occurred_ms, recorded_ms, "
    "event_id, data, meta"
)
_TIMELINE = Listing("timeline", _COLUMNS, _make_entry)
_FOUND = ", ".join(f"t.{name}" for name in _COLUMNS.split(", "))
_LATER = f"SELECT rowid, {_COLUMNS} FROM timeline WHERE rowid > ? {{also}} ORDER BY rowid LIMIT ?"


class Timeline(Queries):
    """What happened in a run, or in all runs of a workflow."""

    projection = "timeline"

    @filtered
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

    @filtered
    def search(
        self,
        text: str,
        *,
        run_id: str | None = None,
        workflow_id: str | None = None,
        types: str | Iterable[str] | None = None,
        sources: str | Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[TimelineEntry]:
        """List the events whose data hold all words of ``text``, the newest first.

        Words are of letters and digits, whatever their case and accents; ``refun*`` stands for
        all that begin so. The texts of log lines, messages, inputs, outputs, errors and so on
        are searched, their first 20,000 characters. A database that is open to be written is fed
        what it was not fed yet. Raises ``InvalidArgument`` for what it cannot take.
        """
        words = asked_words(check_text("text", text))
        conditions = Conditions()
        conditions.equal("t.run_id", run_id)
        conditions.equal("t.workflow_id", workflow_id)
        conditions.among("t.type", types)
        conditions.among("t.source", sources, SOURCES)
        conditions.between("t.occurred_ms", since, until)
        owner = fingerprint("search", words, conditions.asked)
        found = Found(_FOUND, words, conditions, run_id)
        self._feed()
        return self._paged(
            owner,
            (int,),
            found.rows,
            limit,
            cursor,
            key_of=lambda row: row[:1],
            make=lambda row: _make_entry(*row[1:]),
        )

    def follow(
        self,
        after: int | None = None,
        *,
        run_id: str | None = None,
        workflow_id: str | None = None,
        limit: int = 1_000,
    ) -> tuple[list[TimelineEntry], int]:
        """Give what was projected after a mark, in that order, and the mark to go on from.

        Without a mark, nothing and the mark of now. A mark holds for this database file.
        """
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        conditions.equal("workflow_id", workflow_id)
        also = "".join(f" AND {clause}" for clause in conditions.clauses)
        with self._database.snapshot() as tx:
            last = int(tx.execute("SELECT coalesce(max(rowid), 0) FROM timeline")[0][0])
            if after is None or after > last:  # beyond: the rows were made anew
                return [], last
            rows = tx.execute(_LATER.format(also=also), (after, *conditions.parameters, limit))
        mark = int(rows[-1][0]) if len(rows) == limit else last
        return [_make_entry(*row[1:]) for row in rows], mark

    def spans(self, run_id: str) -> list[Span]:
        """Give the run's nodes, calls and pauses as intervals. Raises ``RunNotFound``."""
        return spans_of(self._entries(run_id))

    def counts_by_type(self) -> dict[str, int]:
        """Count the events of each type."""
        return dict(self._rows("SELECT type, events FROM event_types ORDER BY type"))

    def _feed(self) -> None:
        if not self._database.read_only:
            while feed_search(self._database):
                pass

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
    return Order(_OF_WORKFLOW, (int, int), descending=newest_first)
