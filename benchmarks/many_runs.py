"""A large database of generated runs: the same for the same seed, made without a server."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from eventstore import Position
from eventstore.events import RecordedEvent

SEED = 20_261_121
OPEN_RUNS = 400
"""How many runs are under way at the same time."""
PARTITIONS = 16
WORKFLOWS = 20
TOPICS = ("invoice", "refund", "shipment", "contract", "password", "printer", "visa", "payroll")
RARE_WORD = "zebra"
RARE_EVERY = 5_000
"""In one of so many runs somebody says the rare word."""
_STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_RUN_EVERY_S = 60

Line = tuple[str, dict[str, Any]]


class GeneratedLog:
    """The log of ``runs`` runs, read once from its beginning; what a projector needs of a store."""

    identity = "generated"

    def __init__(self, runs: int) -> None:
        self._events = generated(runs)
        self.generating_s = 0.0
        """How long it took so far to make the events."""

    def read_log(
        self,
        after: Mapping[int, Position],  # noqa: ARG002 - it is read once, in order
        *,
        limit: int,
        block_ms: int | None = None,  # noqa: ARG002 - it does not grow
    ) -> list[RecordedEvent]:
        """Give the next events."""
        began_s = time.perf_counter()
        events = list(islice(self._events, limit))
        self.generating_s += time.perf_counter() - began_s
        return events

    def tails(self) -> Mapping[int, Position]:
        """Say nothing of its end."""
        return {}


def generated(runs: int) -> Iterator[RecordedEvent]:
    """Give the events of the runs in the order of the log, many runs side by side."""
    chance = random.Random(SEED)
    waiting = iter(range(runs))
    under_way = [_Recorder(number) for number in islice(waiting, OPEN_RUNS)]
    tails = [0] * PARTITIONS
    while under_way:
        place = chance.randrange(len(under_way))
        event = under_way[place].next_event(tails)
        if event:
            yield event
        else:
            number = next(waiting, None)
            last = under_way.pop()
            if number is not None:
                under_way.append(last)
                under_way[place] = _Recorder(number)
            elif place < len(under_way):
                under_way[place] = last


def run_id(number: int) -> str:
    """Give the id of a run."""
    return f"run-{number:06d}-{zlib.crc32(str(number).encode()):08x}"


class _Recorder:
    """Records one run, event by event."""

    def __init__(self, number: int) -> None:
        self._run_id = run_id(number)
        self._workflow_id = f"workflow-{number % WORKFLOWS:02d}"
        self._partition = zlib.crc32(self._run_id.encode()) % PARTITIONS
        self._chance = random.Random(SEED + number)
        self._at = _STARTED_AT + timedelta(seconds=number * _RUN_EVERY_S)
        self._lines = _lines(number, self._chance)
        self._version = 0

    def next_event(self, tails: list[int]) -> RecordedEvent | None:
        """Give the next event, None after the last."""
        line = next(self._lines, None)
        if line is None:
            return None
        self._version += 1
        self._at += timedelta(milliseconds=self._chance.randrange(1, 60_000))
        tails[self._partition] = number = tails[self._partition] + 1
        return RecordedEvent(
            id=f"{self._run_id}-{self._version}",
            type=line[0],
            run_id=self._run_id,
            version=self._version,
            workflow_id=self._workflow_id,
            data=line[1],
            meta={"actor": f"worker-{self._version % 9}"},
            schema_version=1,
            occurred_at=self._at,
            recorded_at=self._at,
            position=Position(self._partition, int(_STARTED_AT.timestamp() * 1_000), number),
        )


def _lines(number: int, chance: random.Random) -> Iterator[Line]:
    """Give type and data of a run's events: nodes with a model's call, messages, a pause."""
    topic = chance.choice(TOPICS)
    labels = {"team": f"team-{number % 12}", "tier": chance.choice(["gold", "silver", "bronze"])}
    created: dict[str, Any] = {"input": {"subject": f"Question about {topic}"}, "labels": labels}
    if number % 10 == 3:
        created["parent"] = run_id(number // 10)
    yield "run.created", {**created, "definition_hash": f"v{number // 5_000}"}
    yield "run.started", {"worker": f"worker-{number % 7}"}
    thread = {"thread_id": f"thread-{number // 3:06d}"}
    said = f"Please help with my {topic}, order {number}"
    if number % RARE_EVERY == 0:
        said += f" and the {RARE_WORD}"
    yield "message.added", {**thread, "role": "user", "content": said}
    for step in range(4):
        yield from _node(step, number, chance)
    yield "log.emitted", {"level": "info", "message": f"the {topic} was looked up"}
    yield "log.emitted", {"level": "debug", "message": f"{chance.randrange(10**6)} rows read"}
    yield "tool.measured", {"milliseconds": chance.randrange(1_000)}
    if number % 2:
        pause = {"pause_id": f"pause-{number}"}
        window = {"window_ms": 86_400_000, "on_expiry": "park", "reason": f"wait-{number % 5}"}
        yield "run.paused", {**pause, **window, "state": {"topic": topic}, "resume_at": "step-2"}
        if number % 50 == 1:
            return
        yield "run.resumed", {**pause, "cause": "manual", "patch": {"ok": True}, "actor": "ann"}
    yield "message.added", {**thread, "role": "assistant", "content": f"Your {topic} is settled."}
    if number % 25 == 7:
        yield "run.failed", {"error": {"type": "Timeout", "message": f"no {topic} in time"}}
    else:
        yield "run.completed", {"output": {"settled": True}}


def _node(step: int, number: int, chance: random.Random) -> Iterator[Line]:
    node = {"node_id": f"step-{step}", "label": "In progress"}
    yield "node.started", node
    if step < 2:
        call = {"call_id": f"call-{step}", "node_id": node["node_id"], "kind": "model"}
        yield "call.started", {**call, "name": f"model-{number % 3}"}
        usage = {"input_tokens": chance.randrange(50, 900), "output_tokens": 80}
        yield "call.completed", {**call, "usage": usage}
    yield "node.completed", {**node, "output": {"score": step / 8, "answer": "It was found."}}
