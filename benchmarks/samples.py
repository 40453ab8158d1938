"""What is measured: events of some 340 bytes, and whole histories of runs."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from eventstore import NewEvent

STARTED_AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
ANSWER = "The invoice was found, its sum agrees with the order."
HISTORY_SEED = 20_250_601

_numbers = count(1)


def event(number: int) -> NewEvent:
    """Build one event: a node of an agent that completes."""
    return NewEvent(
        "node.completed",
        {
            "node_id": f"step-{number % 7}",
            "attempt": 1,
            "output": {"answer": ANSWER, "score": number / 8, "tokens": [number, 2 * number]},
            "duration_ms": 17,
        },
        workflow_id="invoice-check",
        occurred_at=STARTED_AT,
        meta={"actor": "worker-3"},
    )


def events(amount: int) -> list[NewEvent]:
    """Build events."""
    return [event(number) for number in range(amount)]


def run_ids(amount: int) -> list[str]:
    """Give ids of new runs."""
    return [f"run-{next(_numbers):012d}" for _ in range(amount)]


def histories(runs: int) -> Iterator[tuple[str, list[NewEvent]]]:
    """Give whole runs, of 8 to 23 events: created, nodes, for some a pause, completed."""
    for number, run_id in enumerate(run_ids(runs)):
        yield run_id, [_as_event(line) for line in _history(run_id, number)]


def write_histories(path: Path, runs: int) -> Path:
    """Write whole runs, their lines mixed in the order of time, as the import reads them."""
    lines = [line for n, run_id in enumerate(run_ids(runs)) for line in _history(run_id, n)]
    lines.sort(key=lambda line: line["occurred_at"])
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(orjson.dumps(line) + b"\n" for line in lines)
    return path


def _history(run_id: str, number: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(HISTORY_SEED + number)
    at = STARTED_AT + timedelta(seconds=number)

    def line(kind: str, data: dict[str, Any]) -> dict[str, Any]:
        nonlocal at
        at += timedelta(seconds=chance.randrange(1, 900))
        return {
            "run_id": run_id,
            "workflow_id": "invoice-check",
            "type": kind,
            "data": data,
            "occurred_at": at,
            "meta": {"actor": f"worker-{number % 9}"},
        }

    yield line("run.created", {"input": {"order": number, "country": "fr"}})
    for step in range(chance.randrange(2, 7)):
        node = {"node_id": f"step-{step}", "label": "In progress"}
        yield line("node.queued", node)
        yield line("node.started", node)
        yield line("node.completed", {**node, "output": {"answer": ANSWER, "score": step / 8}})
    if chance.random() < 0.5:
        pause = {"pause_id": f"pause-{number}"}
        state = {"order": number, "checked": ANSWER}
        window = {"window_ms": 86_400_000, "on_expiry": "park", "reason": "wait-user"}
        yield line("run.paused", {**pause, **window, "state": state, "resume_at": "step-1"})
        yield line("run.resumed", {**pause, "cause": "manual", "patch": {"approved": True}})
    yield line("run.completed", {"output": {"paid": True}})


def _as_event(line: dict[str, Any]) -> NewEvent:
    fields = {name: line[name] for name in ("workflow_id", "occurred_at", "meta")}
    return NewEvent(line["type"], line["data"], **fields)
