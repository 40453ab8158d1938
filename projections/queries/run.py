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
    """A run in a list. ``paused_seconds`` sums its resumed pauses; ``version`` counts events."""

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
    paused_seconds: float
    deleted: bool


RUN_COLUMNS = (
    "run_id, workflow_id, status, version, parent, labels, definition_hash, created_ms, "
    "started_ms, updated_ms, ended_ms, paused_total_ms, deleted"
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
    deleted: int,
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
        paused_seconds=paused_total_ms / 1_000,
        deleted=bool(deleted),
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
