"""The incidents at an IT helpdesk: real ones where the data set is, made-up ones elsewhere.

The file is looked for at ``RUNSTORE_INCIDENTS``, then beside the repository.
"""

from __future__ import annotations

import gzip
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from histories import placed

from eventstore.events import Position, RecordedEvent

WINDOW_MS = 24 * 3_600_000
_BESIDE = Path(__file__).parents[2] / "shared" / "data" / "it-incidents.jsonl.gz"

Line = dict[str, Any]


def incidents_file() -> Path | None:
    """Give the path of the real data set, if it is here."""
    path = Path(os.environ.get("RUNSTORE_INCIDENTS") or _BESIDE)
    return path if path.exists() else None


def read_lines(path: Path) -> Iterator[Line]:
    """Read the lines of the import format."""
    with gzip.open(path, "rb") as file:
        for line in file:
            yield orjson.loads(line)


def made_up_lines(runs: int = 200, seed: int = 1) -> list[Line]:
    """Make lines of the same kind: nodes, pauses that are late or never resumed, ends."""
    chance = random.Random(seed)
    lines: list[Line] = []
    for number in range(runs):
        at = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(10_000))
        lines.extend(_made_up_run(f"incident-{number}", at, chance))
    return sorted(lines, key=lambda line: str(line["occurred_at"]))


def _made_up_run(run_id: str, at: datetime, chance: random.Random) -> Iterator[Line]:
    def line(kind: str, **data: Any) -> Line:
        nonlocal at
        at += timedelta(seconds=chance.randrange(1, 100_000))
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return {
            "run_id": run_id,
            "workflow_id": "it-incident",
            "type": kind,
            "data": data,
            "occurred_at": stamp,
            "meta": {"actor": "V1"},
        }

    yield line("run.created", input={"impact": "Low"})
    for turn in range(chance.randrange(6)):
        yield line("node.started", node_id="N1", label="In Progress")
        if chance.random() < 0.5:
            reason = chance.choice(["wait", "wait-user"])
            common = {"window_ms": WINDOW_MS, "on_expiry": "park", "resume_at": "N1", "state": {}}
            yield line("run.paused", pause_id=f"p{turn}", reason=reason, **common)
            if chance.random() < 0.1:
                return
            yield line("run.resumed", pause_id=f"p{turn}", cause="manual", patch={})
    if chance.random() < 0.8:
        yield line("run.completed", output={})


def recorded(lines: Iterable[Line]) -> list[RecordedEvent]:
    """Record lines as a store would that gets them one after the other."""
    versions: Counter[str] = Counter()
    events = []
    for number, line in enumerate(lines):
        run_id = line["run_id"]
        versions[run_id] += 1
        occurred_at = datetime.fromisoformat(line["occurred_at"])
        events.append(
            RecordedEvent(
                id=f"event-{number}",
                type=line["type"],
                run_id=run_id,
                version=versions[run_id],
                workflow_id=line["workflow_id"],
                data=line["data"],
                meta=line["meta"],
                schema_version=1,
                occurred_at=occurred_at,
                recorded_at=occurred_at,
                position=Position(0, int(occurred_at.timestamp() * 1_000), number + 1),
            )
        )
    return placed(events)


@dataclass
class Figures:
    """What the lines say, counted line by line without any of the project's code."""

    events_by_type: Counter[str]
    runs_by_status: Counter[str]
    pauses_by_reason: Counter[str]
    late_resumes: int
    paused_seconds: float
    longest_run: tuple[str, int]
    still_paused: set[str]


REAL = Figures(
    events_by_type=Counter(
        {
            "run.created": 7_554,
            "node.queued": 11_544,
            "node.started": 33_460,
            "node.completed": 13_872,
            "run.paused": 6_657,
            "run.resumed": 6_652,
            "run.completed": 7_546,
        }
    ),
    runs_by_status=Counter({"completed": 7_546, "paused": 5, "running": 3}),
    pauses_by_reason=Counter(
        {
            "wait-user": 4_217,
            "wait": 1_533,
            "wait-implementation": 493,
            "wait-vendor": 313,
            "wait-customer": 101,
        }
    ),
    late_resumes=3_218,
    paused_seconds=2_629_523_572,
    longest_run=("incident-1-687082195", 148),
    still_paused={
        f"incident-1-{number}" for number in (740358991, 740364822, 740538038, 740782031, 740853360)
    },
)
"""The facts that the data set's own page gives."""


def counted(lines: Iterable[Line]) -> Figures:
    """Count the figures from the lines."""
    types: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    status: dict[str, str] = {}
    open_since: dict[str, datetime] = {}
    late, seconds = 0, 0.0
    for line in lines:
        run_id, kind, at = line["run_id"], line["type"], datetime.fromisoformat(line["occurred_at"])
        types[kind] += 1
        lengths[run_id] += 1
        if kind == "run.created":
            status[run_id] = "pending"
        elif kind == "run.paused":
            reasons[line["data"]["reason"]] += 1
            open_since[run_id] = at
            status[run_id] = "paused"
        elif kind == "run.resumed":
            waited = (at - open_since.pop(run_id)).total_seconds()
            seconds += waited
            late += waited * 1_000 > WINDOW_MS
            status[run_id] = "running"
        elif kind == "run.completed":
            status[run_id] = "completed"
        elif status[run_id] == "pending":
            status[run_id] = "running"
    return Figures(
        types,
        Counter(status.values()),
        reasons,
        late,
        seconds,
        max(lengths.items(), key=lambda item: (item[1], item[0])),
        {run_id for run_id, now in status.items() if now == "paused"},
    )
