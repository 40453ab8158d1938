"""Questions about runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventstore.errors import InvalidArgument, RunNotFound
from projections.queries.base import Listing, Order, chosen, filtered
from projections.queries.conditions import (
    MAX_VALUES,
    Conditions,
    check_text,
    maybe_moment,
    moment,
)
from projections.queries.narrowing import by_label, by_words
from projections.queries.page import Page
from projections.queries.run import (
    NODE_COLUMNS,
    RUN_COLUMNS,
    Attempt,
    DeletedRun,
    Node,
    Run,
    RunDetails,
    WorkflowVersion,
    make_attempt,
    make_details,
    make_node,
    make_run,
)
from projections.queries.values import Values
from projections.rows import label_value
from projections.search import asked_words, feed_search
from projections.state import RunState

STATUSES = ("pending", "running", "paused", "completed", "failed", "aborted")

_COLUMNS = {
    "created": "created_ms",
    "updated": "updated_ms",
    "ended": "ended_ms",
    "events": "version",
}
ORDERS = {
    sign + name: Order(
        (column, "run_id"), (int, str), descending=bool(sign), present=name == "ended"
    )
    for name, column in _COLUMNS.items()
    for sign in ("", "-")
}
"""The orders of ``list_runs``; a minus means downwards: latest or most first."""

_RUNS = Listing("runs", RUN_COLUMNS, make_run)
_ATTEMPTS = """
SELECT node_id, started_version, attempt, status, started_ms, ended_ms, error
FROM node_attempts WHERE run_id = ?
UNION ALL
SELECT node_id, started_version, attempts, status, started_ms, ended_ms, error
FROM nodes WHERE run_id = ? AND started_version IS NOT NULL
ORDER BY started_version
"""
_VERSIONS = """
SELECT workflow_id, definition_hash, count(*), min(created_ms), max(created_ms)
FROM runs INDEXED BY runs_by_definition WHERE definition_hash IS NOT NULL {also}
GROUP BY workflow_id, definition_hash
"""
_DELETED = Listing(
    "deleted_runs",
    "run_id, version, deleted_ms, reason, actor",
    lambda run_id, version, at_ms, reason, actor: DeletedRun(
        run_id, version, moment(at_ms), reason, actor
    ),
)
_LATEST_DELETED = Order(("deleted_ms", "run_id"), (int, str), descending=True)
_TOTALS = """
SELECT (SELECT count(*) FROM runs),
       (SELECT coalesce(sum(events), 0) FROM event_types),
       (SELECT count(*) FROM pauses),
       (SELECT min(created_ms) FROM runs),
       (SELECT max(updated_ms) FROM runs)
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the database holds, and from when to when."""

    runs: int
    events: int
    pauses: int
    first_at: datetime | None
    last_at: datetime | None


class Runs(Values):
    """What runs there are, how they stand, what is in them."""

    projection = "runs"

    @filtered
    def list_runs(
        self,
        *,
        workflow_id: str | None = None,
        status: str | Iterable[str] | None = None,
        labels: Mapping[str, Any] | None = None,
        parent: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
        text: str | None = None,
        order: str = "-created",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Run]:
        """List the runs that meet all filters, ``limit`` of 1 to 1,000 a page.

        ``status`` is one or several; ``labels`` are exact JSON values. Times need a zone:
        ``…_after`` includes its moment, ``…_before`` does not. ``text`` are words that one event
        of the run holds, as in ``Timeline.search``. Ordered by ``ended``, only ended runs are
        listed. Raises ``InvalidArgument`` for a value, order or cursor it cannot take.
        """
        conditions = Conditions()
        conditions.equal("workflow_id", workflow_id)
        conditions.among("status", status, STATUSES)
        conditions.equal("parent", parent)
        conditions.between("created_ms", created_after, created_before)
        conditions.between("updated_ms", updated_after, updated_before)
        conditions.between("ended_ms", ended_after, ended_before)
        self._narrow(conditions, _checked(labels or {}), text)
        return self._page(_RUNS, conditions, chosen(ORDERS, order), limit, cursor)

    def get_run(self, run_id: str) -> RunDetails:
        """Give one run with its state, input and output. Raises ``RunNotFound``."""
        rows = self._rows(
            f"SELECT snapshot, {RUN_COLUMNS} FROM runs WHERE run_id = ?",
            check_text("run_id", run_id),
        )
        if not rows:
            raise RunNotFound(run_id)
        snapshot, *columns = rows[0]
        return make_details(make_run(*columns), RunState.from_json(snapshot))

    def nodes(self, run_id: str) -> list[Node]:
        """Give a run's nodes in the order of their first event. Raises ``RunNotFound``."""
        rows = self._rows(
            f"SELECT {NODE_COLUMNS} FROM nodes WHERE run_id = ? ORDER BY first_version",
            check_text("run_id", run_id),
        )
        if not rows:
            self._check_exists(run_id)
        return [make_node(*row) for row in rows]

    def attempts(self, run_id: str) -> list[Attempt]:
        """Give the attempts of a run's nodes, in the order they began. Raises ``RunNotFound``."""
        check_text("run_id", run_id)
        rows = self._rows(_ATTEMPTS, run_id, run_id)
        if not rows:
            self._check_exists(run_id)
        return [make_attempt(*row) for row in rows]

    def workflow_versions(self, workflow_id: str | None = None) -> list[WorkflowVersion]:
        """Give the definitions that runs were created with, by workflow and hash."""
        also, given = "", []
        if workflow_id is not None:
            also, given = "AND workflow_id = ?", [check_text("workflow_id", workflow_id)]
        return [
            WorkflowVersion(workflow, name, runs, moment(first_ms), moment(last_ms))
            for workflow, name, runs, first_ms, last_ms in self._rows(
                _VERSIONS.format(also=also), *given
            )
        ]

    @filtered
    def deleted_runs(
        self, *, run_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[DeletedRun]:
        """List the runs that were deleted, the latest first: when, why and by whom."""
        conditions = Conditions()
        conditions.equal("run_id", run_id)
        return self._page(_DELETED, conditions, _LATEST_DELETED, limit, cursor)

    def counts_by_status(self) -> dict[str, int]:
        """Count the runs of each status that has any."""
        return dict(self._rows("SELECT status, count(*) FROM runs GROUP BY status ORDER BY status"))

    def workflow_ids(self) -> list[str]:
        """Give the workflows that have runs, sorted."""
        rows = self._rows(
            "SELECT DISTINCT workflow_id FROM runs "
            "WHERE workflow_id IS NOT NULL ORDER BY workflow_id"
        )
        return [workflow_id for (workflow_id,) in rows]

    def longest_run(self) -> Run | None:
        """Give the run with the most events; None if there is no run."""
        page = self.list_runs(order="-events", limit=1)
        return page.items[0] if page.items else None

    def totals(self) -> Totals:
        """Count runs, events and pauses, and say from when to when they are."""
        runs, events, pauses, first_ms, last_ms = self._rows(_TOTALS)[0]
        return Totals(runs, events, pauses, maybe_moment(first_ms), maybe_moment(last_ms))

    def _narrow(
        self, conditions: Conditions, labels: list[tuple[str, str]], text: str | None
    ) -> None:
        words = asked_words(check_text("text", text)) if text is not None else []
        if words and not self._database.read_only:
            while feed_search(self._database):
                pass
        if words or labels:
            with self._database.snapshot() as tx:
                for name, value in labels:
                    by_label(tx, conditions, name, value)
                if words:
                    by_words(tx, conditions, words)

    def _check_exists(self, run_id: str) -> None:
        if not self._rows("SELECT 1 FROM runs WHERE run_id = ?", run_id):
            raise RunNotFound(run_id)


def _checked(labels: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give labels as they are stored."""
    if len(labels) > MAX_VALUES:
        raise InvalidArgument(f"labels takes up to {MAX_VALUES} values, not {len(labels)}")
    try:
        return [(check_text("label", name), label_value(labels[name])) for name in labels]
    except TypeError as error:
        raise InvalidArgument(f"a label's value must be JSON: {error}") from None
