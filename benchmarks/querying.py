"""Questions to a database of a million events in 50,000 runs: a page of each, warm."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from benchmarks.ground import Ground
from benchmarks.harness import Contender, Contest
from benchmarks.many_runs import RARE_WORD, GeneratedLog, run_id
from benchmarks.projecting import new_file
from projections import (
    Agents,
    Calls,
    Database,
    Page,
    Pauses,
    Projector,
    Runs,
    Stats,
    Timeline,
    open_database,
)
from projections.search import feed_search

RUNS = 50_000
PAGES = 20
"""How many pages a turn fetches."""
PAGE = 50
LIMIT_MS = 5.0
DEEP = 1_000

Ask = Callable[[], Any]


def contests(ground: Ground) -> Iterator[Contest]:
    """Measure a page of every query, and what sums up everything."""
    runs, path = ground.scaled(RUNS), new_file(ground)
    made = _make(path, runs)
    with open_database(path, read_only=True) as database:
        pages = _Timed(_pages(database, runs))
        yield Contest(
            f"queries, pages of {PAGE} among {made['events']:,} events",
            "pages",
            [Contender(f"SELECT of {PAGE} rows by an index, JSON loaded", _plainly(path))],
            pages.contenders(PAGES),
            lambda: made | pages.facts(),
        )
        sums = _Timed(_sums(database))
        yield Contest(
            "queries that sum up everything",
            "answers",
            [Contender("SELECT count(*) FROM timeline", _counting(path))],
            sums.contenders(1),
            sums.facts,
        )


def _make(path: Path, runs: int) -> dict[str, Any]:
    """Project the generated runs and feed the search; say how fast, and how large it became."""
    began_s = time.perf_counter()
    with open_database(path) as database:
        log = GeneratedLog(runs)
        with Projector(log, database) as projector:
            events = projector.run_to_end()
        projected_s = time.perf_counter()
        before_bytes = _size(path)
        while feed_search(database):
            pass
        fed_s = time.perf_counter()
    return {
        "events": events,
        "projected, events a second": round(events / (projected_s - began_s - log.generating_s)),
        "fed to the search, events a second": round(events / (fed_s - projected_s)),
        "database, bytes an event": round(_size(path) / events),
        "of these for the search": round((_size(path) - before_bytes) / events),
    }


def _size(path: Path) -> int:
    with sqlite3.connect(path) as database:
        ((pages,),) = database.execute("PRAGMA page_count")
        ((page_bytes,),) = database.execute("PRAGMA page_size")
    database.close()
    return int(pages * page_bytes)


class _Timed:
    """Questions whose single answers are timed too, by the clock and in processor time."""

    def __init__(self, questions: dict[str, Ask]) -> None:
        self._questions = questions
        self._seconds: dict[str, list[float]] = {name: [] for name in questions}
        self._busy_seconds: dict[str, list[float]] = {name: [] for name in questions}

    def contenders(self, times: int) -> list[Contender]:
        return [Contender(name, self._asking(name, times)) for name in self._questions]

    def facts(self) -> dict[str, Any]:
        medians, busy = _medians_ms(self._seconds), _medians_ms(self._busy_seconds)
        slow = [name for name, ms in medians.items() if ms > LIMIT_MS]
        told = {f"{name}, ms": f"{ms:.2f} (busy {busy[name]:.2f})" for name, ms in medians.items()}
        return told | {f"above {LIMIT_MS:g} ms": ", ".join(slow) or "none"}

    def _asking(self, name: str, times: int) -> Callable[[], int]:
        def ask() -> int:
            for _ in range(times):
                began_s, busy_s = time.perf_counter(), time.thread_time()
                self._questions[name]()
                self._busy_seconds[name].append(time.thread_time() - busy_s)
                self._seconds[name].append(time.perf_counter() - began_s)
            return times

        return ask


def _medians_ms(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(taken) * 1_000 for name, taken in seconds.items() if taken}


def _pages(database: Database, runs: int) -> dict[str, Ask]:
    asked, timeline = Runs(database), Timeline(database)
    pauses, calls, agents = Pauses(database), Calls(database), Agents(database)
    middle = run_id(runs // 2)
    since = asked.get_run(middle).created_at
    workflow = {"workflow_id": "workflow-07"}
    deep = _nth_cursor(asked.list_runs, min(DEEP, runs // PAGE), limit=PAGE)
    deep_timeline = _nth_cursor(timeline.timeline, DEEP // 2, **workflow, limit=PAGE)
    deep_search = _nth_cursor(lambda **more: timeline.search("invoice", **more), 200, limit=PAGE)
    some = {"limit": PAGE}
    return {
        "list_runs, page 1": lambda: asked.list_runs(**some),
        f"list_runs, page {DEEP:,}": lambda: asked.list_runs(**some, cursor=deep),
        "list_runs by update": lambda: asked.list_runs(order="-updated", **some),
        "list_runs by events": lambda: asked.list_runs(order="-events", **some),
        "list_runs of a workflow": lambda: asked.list_runs(**workflow, **some),
        "list_runs by status": lambda: asked.list_runs(status="paused", **some),
        "list_runs, workflow and status": lambda: asked.list_runs(
            **workflow, status=["failed", "aborted"], **some
        ),
        "list_runs by label": lambda: asked.list_runs(labels={"team": "team-3"}, **some),
        "list_runs by two labels, status": lambda: asked.list_runs(
            labels={"team": "team-3", "tier": "gold"}, status="completed", **some
        ),
        "list_runs of a parent": lambda: asked.list_runs(parent=run_id(7), **some),
        "list_runs created in a range": lambda: asked.list_runs(
            created_after=since, created_before=since + timedelta(days=1), **some
        ),
        "list_runs ended in a range": lambda: asked.list_runs(
            ended_after=since, ended_before=since + timedelta(days=1), order="ended", **some
        ),
        "list_runs, a rare word": lambda: asked.list_runs(text=RARE_WORD, **some),
        "list_runs, a frequent word": lambda: asked.list_runs(text="invoice", **some),
        "get_run": lambda: asked.get_run(middle),
        "nodes and attempts of a run": lambda: (asked.nodes(middle), asked.attempts(middle)),
        "distinct workflows": lambda: asked.distinct("workflow_id"),
        "distinct labels": lambda: asked.distinct("label_value", label="team"),
        "distinct nodes": lambda: asked.distinct("node_id"),
        "distinct agents": lambda: asked.distinct("agent"),
        "timeline of a run": lambda: timeline.timeline(middle),
        "timeline of a workflow, page 1": lambda: timeline.timeline(**workflow, **some),
        "timeline of a workflow, page 500": lambda: timeline.timeline(
            **workflow, **some, cursor=deep_timeline
        ),
        "spans of a run": lambda: timeline.spans(middle),
        "search, a rare word": lambda: timeline.search(RARE_WORD, **some),
        "search, a frequent word, page 1": lambda: timeline.search("invoice", **some),
        "search, a frequent word, page 200": lambda: timeline.search(
            "invoice", **some, cursor=deep_search
        ),
        "search, two words": lambda: timeline.search("refund settled", **some),
        "search, how words begin": lambda: timeline.search("ref*", **some),
        "list_pauses that wait": lambda: pauses.list_pauses(status="open", **some),
        "list_pauses by reason": lambda: pauses.list_pauses(reason="wait-3", **some),
        "list_pauses of a workflow": lambda: pauses.list_pauses(**workflow, **some),
        "checkpoint of a run": lambda: pauses.checkpoint(run_id(runs // 2 + 1)),
        "list_calls, page 1": lambda: calls.list_calls(**some),
        "list_calls of a model": lambda: calls.list_calls(name="model-1", **some),
        "threads, page 1": lambda: agents.threads(**some),
        "threads of an agent": lambda: agents.threads(agent="workflow-07", **some),
        "messages of a thread": lambda: agents.messages("thread-000100"),
        "runs of an agent": lambda: agents.runs(agent="workflow-07", **some),
    }


def _sums(database: Database) -> dict[str, Ask]:
    stats, runs = Stats(database), Runs(database)
    return {
        "activity a day": stats.activity,
        "durations of runs": stats.run_durations,
        "durations of nodes": stats.node_durations,
        "waits by reason": stats.waits,
        "workflow versions": runs.workflow_versions,
        "counts by status": runs.counts_by_status,
        "totals": runs.totals,
    }


def _nth_cursor(ask: Callable[..., Page[Any]], number: int, **filters: Any) -> str | None:
    """Give the cursor that leads to a page, or to the last one there is."""
    cursor = None
    for _ in range(number - 1):
        following = ask(**filters, cursor=cursor).next_cursor
        if following is None:
            break
        cursor = following
    return cursor


def _plainly(path: Path) -> Callable[[], int]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
    sql = "SELECT run_id, status, labels FROM runs ORDER BY created_ms DESC, run_id DESC LIMIT ?"

    def ask() -> int:
        for _ in range(PAGES):
            for row in database.execute(sql, (PAGE,)):
                orjson.loads(row[2])
        return PAGES

    return ask


def _counting(path: Path) -> Callable[[], int]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    def ask() -> int:
        database.execute("SELECT count(*) FROM timeline").fetchone()
        return 1

    return ask
