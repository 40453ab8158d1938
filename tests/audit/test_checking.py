"""Recorded runs are replayed against a workflow, and the first event that differs is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from samples import ended, noted

from eventstore import (
    EventStore,
    InvalidArgument,
    NewEvent,
    RecordedEvent,
    RunNotFound,
    SyncEventStore,
)
from projections.state import RunState
from replay.audit import Audit, Checked, SyncAudit

pytestmark = pytest.mark.parametrize("server", ["valkey"], indirect=True)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
STEPS = ("fetch", "judge")
DECIDES = ("node.queued", "run.completed")


def workflow(state: RunState, _so_far: Sequence[RecordedEvent]) -> list[Any]:
    """Queue one step after the other, and then complete."""
    for step in STEPS:
        if step not in state.nodes:
            return [("node.queued", {"node_id": step})] if state.version else []
        if state.nodes[step].status != "completed":
            return []
    return ["run.completed"]


def history(*steps: str, at: datetime = NOON, workflow_id: str = "orders") -> list[NewEvent]:
    """Make the history of a run that did these steps."""
    events = [NewEvent("run.created", workflow_id=workflow_id, occurred_at=at)]
    for step in steps:
        node = {"node_id": step}
        events += [NewEvent("node.queued", {**node, "attempt": 1}), NewEvent("node.started", node)]
        events += [noted("beside"), NewEvent("node.completed", node)]
    return [*events, ended()]


def told(found: Checked) -> list[tuple[str, int, str | None]]:
    return [(one.run_id, one.version, one.expected) for one in found.divergences]


def test_runs_that_are_decided_as_they_were_are_counted(sync_store: SyncEventStore) -> None:
    sync_store.append("run-1", history(*STEPS))
    sync_store.append("run-2", history(*STEPS)[:6])  # it goes on
    found = SyncAudit(sync_store).check(workflow, decides=DECIDES)
    assert (found.runs, found.events, found.diverged, found.divergences) == (2, 16, 0, [])


def test_the_first_event_that_differs_is_told(sync_store: SyncEventStore) -> None:
    # given runs of another workflow than today's: other steps, in another order, one too few
    sync_store.append("other", history("fetch", "ship"))
    sync_store.append("swapped", history("judge", "fetch"))
    sync_store.append("early", history("fetch"))
    sync_store.append("late", [*history(*STEPS)[:-1], NewEvent("node.queued", {"node_id": "x"})])
    found = SyncAudit(sync_store).check(
        workflow, ["other", "swapped", "early", "late"], decides=DECIDES
    )
    assert told(found) == [
        ("other", 6, "node.queued {'node_id': 'judge'}"),
        ("swapped", 2, "node.queued {'node_id': 'fetch'}"),
        ("early", 6, "node.queued {'node_id': 'judge'}"),
        ("late", 10, "run.completed"),
    ]
    assert [one.detail for one in found.divergences[:3]] == [
        "node.queued was recorded with other data: node_id is 'ship', decided is 'judge'",
        "node.queued was recorded with other data: node_id is 'judge', decided is 'fetch'",
        "run.completed was recorded, and the workflow decides node.queued",
    ]
    assert (found.divergences[0].found or "").startswith("node.queued {'node_id': 'ship'")


def test_an_event_that_nobody_decides_differs(sync_store: SyncEventStore) -> None:
    sync_store.append("run", history(*STEPS))
    found = SyncAudit(sync_store).check(lambda _state, _events: None, decides=DECIDES)
    (one,) = found.divergences
    assert (one.version, one.expected) == (2, None)
    assert "decides nothing here" in one.detail


def test_without_types_whatever_comes_next_must_be_what_is_expected(
    sync_store: SyncEventStore,
) -> None:
    sync_store.append("run", [noted("a"), noted("b"), noted("c")])

    def second(state: RunState, _so_far: Sequence[RecordedEvent]) -> list[NewEvent]:
        return [noted("x")] if state.version == 2 else []

    (one,) = SyncAudit(sync_store).check(second).divergences
    assert (one.version, one.detail) == (
        *(3,),
        "note.taken was recorded with other data: text is 'c', decided is 'x'",
    )


def test_a_workflow_that_raises_differs_there(sync_store: SyncEventStore) -> None:
    sync_store.append("run", history("fetch"))

    def broken(state: RunState, _so_far: Sequence[RecordedEvent]) -> list[Any]:
        return [state.nodes["judge"]]

    (one,) = SyncAudit(sync_store).check(broken).divergences
    assert (one.version, one.detail) == (1, "the workflow raised KeyError: 'judge'")


def test_the_workflow_sees_state_and_events_before_each_decision(
    sync_store: SyncEventStore,
) -> None:
    sync_store.append("run", history("fetch"))
    seen: list[tuple[int, int]] = []

    def look(state: RunState, so_far: Sequence[RecordedEvent]) -> None:
        seen.append((state.version, len(so_far)))

    SyncAudit(sync_store).check(look)
    assert seen == [(n, n) for n in range(6)]


def test_yesterdays_runs_are_chosen_by_when_they_began(sync_store: SyncEventStore) -> None:
    for day in range(3):
        sync_store.append(f"run-{day}", history("fetch", at=NOON + timedelta(days=day)))
    sync_store.append("other", history("fetch", at=NOON, workflow_id="other"))
    seen: list[int] = []
    found = SyncAudit(sync_store).check(
        workflow,
        decides=DECIDES,
        workflow_id="orders",
        since=NOON + timedelta(days=1),
        until=NOON + timedelta(days=2),
        on_progress=seen.append,
    )
    assert [one.run_id for one in found.divergences] == ["run-1"]
    assert seen == [1]


def test_more_divergences_than_are_kept_are_counted(sync_store: SyncEventStore) -> None:
    for n in range(5):
        sync_store.append(f"run-{n}", history("fetch"))
    found = SyncAudit(sync_store).check(workflow, decides=DECIDES, max_divergences=2)
    assert (found.diverged, len(found.divergences)) == (5, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"decide": "workflow"},
        {"decides": "run.completed"},
        {"since": NOON.replace(tzinfo=None)},
    ],
)
def test_what_cannot_be_replayed_is_refused(
    sync_store: SyncEventStore, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        SyncAudit(sync_store).check(**{"decide": workflow, **options})


async def test_the_asyncio_form_tells_the_same(store: EventStore) -> None:
    await store.append("run", history("fetch"))
    found = await Audit(store).check(workflow, decides=DECIDES)
    assert told(found) == [("run", 6, "node.queued {'node_id': 'judge'}")]
    with pytest.raises(RunNotFound):
        await Audit(store).check(workflow, ["nobody"])
