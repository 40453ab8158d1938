"""Run histories: generated ones for the laws, and recorded events without a server.

``histories()`` draws the events of one valid run, ``logs()`` the log of several runs interleaved
over partitions. ``record`` turns new events into recorded ones as a store would, ``ListLog`` gives
recorded events to a projector.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from eventstore import Settings
from eventstore.events import STORED, NewEvent, Position, RecordedEvent
from projections import BUILT_IN, Projection, Projector, open_database
from projections.state import RunState
from replay.storing import store_apart

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NODES = ("fetch", "judge", "write")
PAUSES = ("p1", "p2", "p3")
CALLS = ("c1", "c2")

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=3)
errors = st.fixed_dictionaries({"type": texts, "message": texts})
windows = st.none() | st.integers(0, 10**9)


def _data(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


_node = st.sampled_from(NODES)
_pause = st.sampled_from(PAUSES)
_call = st.sampled_from(CALLS)

BODY: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "run.started": _data(worker=texts),
    "run.recovered": _data(reason=texts),
    "run.paused": _data(
        pause_id=_pause,
        reason=st.none() | texts,
        resume_at=values,
        state=objects,
        window_ms=windows,
        on_expiry=st.sampled_from(["restore", "park", "fail", "abort"]),
    ),
    "run.window_expired": _data(pause_id=_pause),
    "run.restored": _data(pause_id=_pause, checkpoint_version=st.integers(1, 50)),
    "run.resumed": _data(
        pause_id=_pause,
        cause=st.sampled_from(["manual", "signal", "decision", "window_expired", "timeout"]),
        patch=objects,
        consumed=st.none() | st.lists(st.sampled_from(["s0", "s1", "s2"]), max_size=2),
    ),
    "run.patched": _data(patch=objects),
    "signal.received": _data(type=st.just("approved"), payload=values),
    "node.queued": _data(node_id=_node),
    "node.started": _data(node_id=_node, label=texts),
    "node.completed": _data(node_id=_node, output=values, patch=st.none() | objects),
    "node.failed": _data(node_id=_node, error=errors, will_retry=st.booleans()),
    "node.retry_scheduled": _data(node_id=_node),
    "node.skipped": _data(node_id=_node),
    "call.started": _data(call_id=_call, node_id=_node, kind=texts, name=texts),
    "call.completed": _data(call_id=_call, output=values),
    "call.failed": _data(call_id=_call, error=errors),
    "checkpoint.saved": _data(state=objects, resume_at=values),
    "log.emitted": _data(level=texts, message=texts),
    "message.added": _data(thread_id=st.just("t"), role=st.just("user"), content=values),
    "order.shipped": objects,
    "node.unheard_of": objects,
}
"""What may happen between a run's beginning and its end, also types that nobody registered."""

ENDINGS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "run.completed": _data(output=values),
    "run.failed": _data(error=errors),
    "run.aborted": _data(reason=texts),
}


@st.composite
def histories(draw: st.DrawFn, max_events: int = 30) -> list[NewEvent]:
    """Draw the events of one valid run, in order; it may have ended, and then be deleted.

    Values of its states may be stored apart.
    """
    created = _data(input=values, labels=st.none() | objects)
    kinds = draw(st.lists(st.sampled_from(sorted(BODY)), max_size=max_events))
    chosen = [("run.created", draw(created)), *((kind, draw(BODY[kind])) for kind in kinds)]
    if draw(st.booleans()):
        ending = draw(st.sampled_from(sorted(ENDINGS)))
        chosen.append((ending, draw(ENDINGS[ending])))
        if draw(st.booleans()):
            chosen.append(("run.deleted", {}))
    at = EPOCH
    events = []
    for number, (kind, data) in enumerate(chosen):
        at += timedelta(milliseconds=draw(st.integers(-5, 10**8)))
        actor = draw(st.none() | st.sampled_from(["ann", "bob"]))
        events.append(
            NewEvent(
                kind,
                data,
                workflow_id=draw(st.none() | st.sampled_from(["intake", "billing"])),
                id=f"s{number}" if kind == "signal.received" else f"e{number}",
                occurred_at=draw(st.none() | st.just(at)),
                meta={"actor": actor} if actor else {},
            )
        )
    return with_values_apart(events) if draw(st.booleans()) else events


def with_values_apart(events: Iterable[NewEvent]) -> list[NewEvent]:
    """Tell a history as if each value of its states were a large one."""
    every = Settings(inline_state_bytes=1)
    run, told = RunState(), list[NewEvent]()
    for event in events:
        for one in store_apart(run, [event], every):
            name = f"v{len(told)}" if one.type == STORED else one.id
            told.append(one.model_copy(update={"id": name}))
            run.apply(record("run", told[-1:], first_version=len(told))[0])
    return told


def folded(events: Iterable[RecordedEvent]) -> RunState:
    """Fold events, once straight and once through JSON at each step, which must not differ."""
    straight, through_json = RunState(), RunState()
    for event in events:
        straight.apply(event)
        through_json = RunState.from_json(through_json.to_json())
        through_json.apply(event)
        assert through_json == straight
        assert through_json.to_json() == straight.to_json()
    return straight


def record(
    run_id: str,
    new_events: Iterable[NewEvent],
    *,
    first_version: int = 1,
    partition: int = 0,
    first_n: int = 1,
    recorded_at: datetime = EPOCH,
) -> list[RecordedEvent]:
    """Record events as a store would: versions from ``first_version``, one a millisecond."""
    workflow_id = None
    recorded = []
    for number, event in enumerate(new_events):
        workflow_id = event.workflow_id or workflow_id
        moment = recorded_at + timedelta(milliseconds=number)
        recorded.append(
            RecordedEvent(
                id=event.id,
                type=event.type,
                run_id=run_id,
                version=first_version + number,
                workflow_id=workflow_id,
                data=event.data,
                meta=event.meta,
                schema_version=event.schema_version,
                occurred_at=event.occurred_at or moment,
                recorded_at=moment,
                position=Position(partition, int(moment.timestamp() * 1_000), first_n + number),
            )
        )
    return recorded


def interleaved(
    runs: Mapping[str, Sequence[RecordedEvent]], turns: Iterable[str], partitions: int = 4
) -> list[RecordedEvent]:
    """Put runs into one log: each turn names the run whose next event comes."""
    waiting = {run_id: deque(events) for run_id, events in runs.items()}
    order = [run_id for run_id in turns if run_id in waiting]
    log = [waiting[run_id].popleft() for run_id in order if waiting[run_id]]
    for events in waiting.values():
        log.extend(events)
    return placed(log, partitions)


def placed(log: Iterable[RecordedEvent], partitions: int = 16) -> list[RecordedEvent]:
    """Give events the positions that they have in a log of so many partitions."""
    tails: dict[int, Position] = {}
    found = []
    for event in log:
        partition = zlib.crc32(event.run_id.encode()) % partitions
        tail = tails.get(partition, Position(partition, 0, 0))
        # The server's milliseconds never go back.
        tails[partition] = Position(partition, max(tail.ms, event.position.ms), tail.n + 1)
        found.append(replace(event, position=tails[partition]))
    return found


@st.composite
def logs(draw: st.DrawFn, max_runs: int = 4) -> list[RecordedEvent]:
    """Draw the log of several runs, their events interleaved."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=max_runs, unique=True))
    runs = {name: record(name, draw(histories())) for name in names}
    turns = draw(st.lists(st.sampled_from(names), max_size=60))
    return interleaved(runs, turns)


class ListLog:
    """A log that holds what it was given, read as a store's is."""

    def __init__(self, events: Iterable[RecordedEvent], identity: str = "list") -> None:
        self.identity = identity
        self._partitions: dict[int, list[tuple[int, RecordedEvent]]] = {}
        self.events: list[RecordedEvent] = []
        self.extend(events)

    def extend(self, events: Iterable[RecordedEvent]) -> None:
        for event in events:
            entries = self._partitions.setdefault(event.position.partition, [])
            assert event.position.n == len(entries) + 1
            entries.append((len(self.events), event))
            self.events.append(event)

    def read_log(
        self,
        after: Mapping[int, Position],
        *,
        limit: int,
        block_ms: int | None = None,  # noqa: ARG002 - nobody else adds to a list: no use waiting
    ) -> list[RecordedEvent]:
        pages = []
        for partition, entries in self._partitions.items():
            start = after[partition].n if partition in after else 0
            pages.extend(entries[start : start + limit])
        return [event for _, event in sorted(pages, key=itemgetter(0))[:limit]]

    def load(self, run_id: str) -> list[RecordedEvent]:
        return [event for event in self.events if event.run_id == run_id]

    def tails(self) -> dict[int, Position]:
        return {number: entries[-1][1].position for number, entries in self._partitions.items()}


def project(
    path: Path,
    events: Iterable[RecordedEvent],
    projections: Sequence[type[Projection] | Projection] = BUILT_IN,
    **settings: Any,
) -> int:
    """Project events to their end into the database at ``path``; give how many were new to it."""
    with (
        open_database(path) as database,
        Projector(ListLog(events), database, projections, **settings) as projector,
    ):
        return projector.run_to_end()


_TABLES = """
SELECT name FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'search!_%' ESCAPE '!'
"""


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Give every row of every table of a database, sorted.

    Not those of the search, which is fed later and in batches of its own: it is no projection.
    """
    connection = sqlite3.connect(path)
    try:
        names = connection.execute(_TABLES)
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in names.fetchall()
        }
    finally:
        connection.close()
