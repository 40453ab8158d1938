"""Runs and nodes as queries give them. Times are datetimes in UTC."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from projections.queries.conditions import maybe_moment, moment
from projections.state import RunState


@dataclass(frozen=True, slots=True)
class Run:
    """A run in a list.

    ``version`` counts its events, ``counters`` how often what happened (see ``COUNTERS`` of
    ``projections.state``); ``usage`` sums what its calls used, such as tokens. An ended run took
    ``duration_seconds``; of these, or of those so far, resumed pauses were ``paused_seconds``.
    """

    run_id: str
    workflow_id: str | None
    status: str
    version: int
    parent: str | None
    labels: dict[str, Any]
    definition_hash: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    paused_seconds: float
    counters: dict[str, int]
    usage: dict[str, int | float]


RUN_COLUMNS = (
    "run_id, workflow_id, status, version, parent, labels, definition_hash, created_ms, "
    "started_ms, updated_ms, ended_ms, paused_total_ms, counters, usage"
)


def make_run(
    run_id: str,
    workflow_id: str | None,
    status: str,
    version: int,
    parent: str | None,
    labels: str,
    definition_hash: str | None,
    created_ms: int,
    started_ms: int | None,
    updated_ms: int,
    ended_ms: int | None,
    paused_total_ms: int,
    counters: str,
    usage: str,
) -> Run:
    """Make a run of a row of ``RUN_COLUMNS``."""
    return Run(
        run_id=run_id,
        workflow_id=workflow_id,
        status=status,
        version=version,
        parent=parent,
        labels=orjson.loads(labels),
        definition_hash=definition_hash,
        created_at=moment(created_ms),
        started_at=maybe_moment(started_ms),
        updated_at=moment(updated_ms),
        ended_at=maybe_moment(ended_ms),
        duration_seconds=None if ended_ms is None else max(0, ended_ms - created_ms) / 1_000,
        paused_seconds=paused_total_ms / 1_000,
        counters=orjson.loads(counters),
        usage=orjson.loads(usage),
    )


@dataclass(frozen=True, slots=True)
class RunDetails(Run):
    """One run with what it works on; ``run_state`` is all that its events add up to."""

    state: dict[str, Any]
    input: Any
    output: Any
    error: dict[str, Any] | None
    reason: str | None
    run_state: RunState


def make_details(run: Run, fold: RunState) -> RunDetails:
    """Put a run's row and its fold together."""
    return RunDetails(
        **{field.name: getattr(run, field.name) for field in fields(run)},
        state=fold.state,
        input=fold.input,
        output=fold.output,
        error=fold.error,
        reason=fold.reason,
        run_state=fold,
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a run; times, output and error are those of its latest attempt."""

    node_id: str
    label: str | None
    status: str
    attempts: int
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    output: Any
    error: dict[str, Any] | None


NODE_COLUMNS = "node_id, label, status, attempts, queued_ms, started_ms, ended_ms, output, error"


def make_node(
    node_id: str,
    label: str | None,
    status: str,
    attempts: int,
    queued_ms: int | None,
    started_ms: int | None,
    ended_ms: int | None,
    output: str | None,
    error: str | None,
) -> Node:
    """Make a node of a row of ``NODE_COLUMNS``."""
    return Node(
        node_id=node_id,
        label=label,
        status=status,
        attempts=attempts,
        queued_at=maybe_moment(queued_ms),
        started_at=maybe_moment(started_ms),
        ended_at=maybe_moment(ended_ms),
        output=None if output is None else orjson.loads(output),
        error=None if error is None else orjson.loads(error),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a node; ``version`` is that of the event it began with.

    ``status`` is ``running``, ``completed``, ``failed``, ``retrying`` (failed, another will
    follow), ``skipped`` or ``restarted`` (another began before this one ended).
    """

    node_id: str
    version: int
    attempt: int
    status: str
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    error: dict[str, Any] | None


def make_attempt(
    node_id: str,
    version: int,
    attempt: int,
    status: str,
    started_ms: int,
    ended_ms: int | None,
    error: str | None,
) -> Attempt:
    """Make an attempt of a row of ``nodes`` or ``node_attempts``."""
    return Attempt(
        node_id=node_id,
        version=version,
        attempt=attempt,
        status=status,
        started_at=moment(started_ms),
        ended_at=maybe_moment(ended_ms),
        duration_seconds=None if ended_ms is None else max(0, ended_ms - started_ms) / 1_000,
        error=None if error is None else orjson.loads(error),
    )


@dataclass(frozen=True, slots=True)
class DeletedRun:
    """What is left of a deleted run: that it was there, with so many events."""

    run_id: str
    version: int
    deleted_at: datetime
    reason: str | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """A workflow's definition as runs were created with it, by its hash."""

    workflow_id: str | None
    definition_hash: str
    runs: int
    first_at: datetime
    last_at: datetime
