"""Lines to import, and what came of them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

from eventstore import SyncEventStore
from eventstore.timers import WINDOW
from replay.importing import Importer, ImportReport

Line = dict[str, Any]
DAY_MS = 24 * 3_600_000


def line(kind: str, run_id: str = "r", minute: int = 0, **fields: Any) -> Line:
    """One line of the format, as other tools write it."""
    data = fields.pop("data", {})
    at = f"2012-05-01T10:{minute:02}:00.000Z"
    return {"run_id": run_id, "workflow_id": "w", "type": kind, "data": data, "occurred_at": at} | {
        name: value for name, value in fields.items() if value is not ...
    }


def paused(run_id: str = "r", pause_id: str = "p", minute: int = 1, **fields: Any) -> Line:
    data = {"pause_id": pause_id, "state": {"n": 1}, "window_ms": DAY_MS, "on_expiry": "park"}
    return line("run.paused", run_id, minute, data=data | fields)


def resumed(run_id: str = "r", pause_id: str = "p", minute: int = 2) -> Line:
    return line("run.resumed", run_id, minute, data={"pause_id": pause_id, "cause": "manual"})


def file_of(*lines: Line | bytes | str) -> io.BytesIO:
    """A file of these lines; bytes and text stand as they are."""
    raw = (
        each if isinstance(each, bytes) else (each if isinstance(each, str) else json.dumps(each))
        for each in lines
    )
    return io.BytesIO(b"\n".join(r if isinstance(r, bytes) else r.encode() for r in raw) + b"\n")


def imported(store: SyncEventStore, *lines: Line | bytes | str, **options: Any) -> ImportReport:
    return Importer(store, **options).run(file_of(*lines))


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.written, report.already_there, report.bad


def types(store: SyncEventStore, run_id: str = "r") -> list[str]:
    return [event.type for event in store.load(run_id)]


def timers(store: SyncEventStore) -> dict[tuple[str, str], int]:
    """All timers that will ever be due, by run and reference."""
    far = datetime(2100, 1, 1, tzinfo=UTC)
    due = store.due(now=far, limit=1_000)
    assert all(each.timer.kind == WINDOW for each in due)
    return {(each.timer.run_id, each.timer.ref): each.due_ms for each in due}


def raw(**fields: str) -> str:
    """A line of raw JSON values."""
    texts = {"run_id": '"r"', "type": '"order.placed"'} | fields
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"
