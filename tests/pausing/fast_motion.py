"""Histories lived again: their pauses and resumes as live calls, in fast motion."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from driven_clock import DrivenClock
from incidents import Line

from eventstore import AppendResult, NewEvent, RecordedEvent, SyncEventStore
from eventstore.clock import to_ms
from replay import RunContext, SyncRunControl

PATIENCE_S = 60

RESTORE = """
import sys
from threading import Thread
from eventstore import SyncEventStore
from replay import SyncRestorer

with SyncEventStore.open(sys.argv[1], namespace=sys.argv[2], partitions=None) as store:
    service = SyncRestorer(store, print, idle_ms=5)
    working = Thread(target=service.run)
    working.start()
    sys.stdin.readline()
    service.stop()
    working.join()
    print(*service.counts.numbers.items(), sep="\\n")
"""
"""A process with a restorer; told a line, it ends and says what it did."""


class FastMotion:
    """Does what the lines tell: pauses and resumes as calls, each at its own time by the clock.

    Where a window ends before the next line, the clock stands still there until the restorer,
    which runs beside, has recorded it. ``resumes`` are the contexts that were given.
    """

    def __init__(self, store: SyncEventStore, clock: DrivenClock) -> None:
        self._store = store
        self._control = SyncRunControl(store)
        self._clock = clock
        self._windows: list[tuple[int, str, str]] = []
        self._open: dict[tuple[str, str], dict[str, Any]] = {}
        self._others: defaultdict[str, list[NewEvent]] = defaultdict(list)
        self.resumes: list[RunContext] = []

    def live(self, lines: Iterable[Line]) -> None:
        """Do what the lines tell, then let the windows end that are still open."""
        for line in lines:
            occurred_at = datetime.fromisoformat(line["occurred_at"])
            at_ms = to_ms(occurred_at)
            self._let_windows_end(at_ms)
            if line["type"] in ("run.paused", "run.resumed"):
                self._append_others()
                self._clock.set_ms(at_ms)
                act = self._pause if line["type"] == "run.paused" else self._resume
                act(line, at_ms)
            else:
                event = NewEvent(
                    line["type"],
                    line["data"],
                    workflow_id=line["workflow_id"],
                    occurred_at=occurred_at,
                    meta=line["meta"],
                )
                self._others[line["run_id"]].append(event)
        self._append_others()
        self._let_windows_end(None)

    def _append_others(self) -> None:
        """Append what is no call, since the last call."""
        others = list(self._others.items())
        self._others.clear()
        for outcome in self._store.append_many(others):
            assert isinstance(outcome, AppendResult), outcome

    def _let_windows_end(self, by_ms: int | None) -> None:
        while self._windows and (by_ms is None or self._windows[0][0] <= by_ms):
            end_ms, run_id, pause_id = heapq.heappop(self._windows)
            if (run_id, pause_id) in self._open:
                self._clock.set_ms(end_ms)
                self._store.wait(run_id, _expiry_of(pause_id), PATIENCE_S)

    def _resume(self, line: Line, _at_ms: int) -> None:
        run_id, data = line["run_id"], line["data"]
        context = self._control.resume(
            run_id,
            data["patch"],
            pause_id=data["pause_id"],
            cause=data["cause"],
            actor=line["meta"]["actor"],
        )
        assert context.state == self._open.pop((run_id, data["pause_id"]))
        self.resumes.append(context)

    def _pause(self, line: Line, at_ms: int) -> None:
        run_id, data = line["run_id"], dict(line["data"])
        window_ms = data.pop("window_ms")
        self._control.pause(run_id, window=window_ms / 1_000, meta=line["meta"], **data)
        self._open[run_id, data["pause_id"]] = data["state"]
        heapq.heappush(self._windows, (at_ms + window_ms, run_id, data["pause_id"]))


def _expiry_of(pause_id: str) -> Any:
    def is_it(event: RecordedEvent) -> bool:
        return event.type == "run.window_expired" and event.data["pause_id"] == pause_id

    return is_it
