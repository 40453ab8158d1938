"""What became of a demo, checked against what was planned, from the log itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from eventstore import RecordedEvent, RunNotFound, SyncEventStore, WaitTimeout
from projections import Database, Runs, RunState, fold
from replay.demo.orders import Order

CATCH_UP_WITHIN_S = 5.0


@dataclass(slots=True)
class Facts:
    """The outcome; ``differs`` says in words what is not as it should be."""

    folder: str
    demo: str
    seconds: float = 0.0
    events: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is as planned."""
        return not self.differs

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {"ok": self.ok, **asdict(self)}


def check(
    facts: Facts,
    store: SyncEventStore,
    database: Database,
    placed: dict[str, Order],
    within_s: float = CATCH_UP_WITHIN_S,
) -> None:
    """Fill in what the log and the read side say, and where that is not as planned."""
    rows = Runs(database)
    histories = {run_id: store.load(run_id) for run_id in placed}
    try:
        rows.wait_for([events[-1].position for events in histories.values()], within_s)
    except WaitTimeout as late:
        facts.differs.append(f"the projector is behind: {late}")
    for run_id, order in placed.items():
        events = histories[run_id]
        state = fold(events)
        facts.events += len(events)
        facts.runs[run_id] = _told(order, events, state)
        problems = [*_problems(order, events, state), *_stale(rows, state)]
        facts.differs += [f"{run_id} ({order.story.title}): {problem}" for problem in problems]
    facts.recovered = _furthest_first(histories)
    facts.counts = dict(Counter(told["status"] for told in facts.runs.values()))


def _told(order: Order, events: list[RecordedEvent], state: RunState) -> dict[str, Any]:
    return {
        "story": order.story.title,
        "status": state.status,
        "planned": order.story.ends,
        "events": len(events),
        "restored": _count(events, "run.restored"),
        "recovered": _count(events, "run.recovered"),
        "pauses_ended_by": [outcome.cause for outcome in state.outcomes.values()],
    }


def _problems(order: Order, events: list[RecordedEvent], state: RunState) -> Iterator[str]:
    story = order.story
    if state.status != story.ends:
        yield f"is {state.status}, should be {story.ends}"
    if [event.version for event in events] != list(range(1, len(events) + 1)):
        yield "its versions have a gap"
    if (restored := _count(events, "run.restored")) != story.restored:
        yield f"was restored {restored} times, should be {int(story.restored)}"
    if [o.cause for o in state.outcomes.values()] != ([story.cause] if story.cause else []):
        yield f"its pause ended otherwise than by {story.cause}"
    completed = [event.data for event in events if event.type == "node.completed"]
    for node_id, times in Counter(data["node_id"] for data in completed).items():
        if times > 1:
            yield f"node {node_id} was done {times} times"
    for data in completed:
        if not data["patch"].items() <= state.state.items():
            yield f"what node {data['node_id']} found out is lost: {data['patch']}"


def _stale(rows: Runs, state: RunState) -> Iterator[str]:
    """Compare the read side with the log."""
    try:
        row = rows.get_run(state.run_id)
    except RunNotFound:
        yield "the read side does not have it"
    else:
        if (row.status, row.version) != (state.status, state.version):
            yield f"the read side has {row.status} at version {row.version}"


def _furthest_first(histories: dict[str, list[RecordedEvent]]) -> list[str]:
    """Name the runs that were taken over, by how far they were."""
    taken = [event for events in histories.values() for event in events]
    taken = [event for event in taken if event.type == "run.recovered"]
    taken.sort(key=lambda event: event.version, reverse=True)
    return [*dict.fromkeys(event.run_id for event in taken)]


def _count(events: list[RecordedEvent], kind: str) -> int:
    return sum(event.type == kind for event in events)
