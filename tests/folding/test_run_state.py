"""Given events, then a state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from histories import EPOCH, record

from eventstore.clock import to_ms
from eventstore.errors import HistoryGap, InvalidArgument, InvalidEvent
from eventstore.events import PAYLOADS, NewEvent
from eventstore.events.payloads import MAX_ATTEMPT
from projections import CallState, NodeState, PauseOutcome, RunState, fold
from projections.state.transitions import TRANSITIONS

START_MS = to_ms(EPOCH)
DAY_MS = 24 * 3_600_000

Given = tuple[str, dict[str, Any]]


def after(*given: Given, start: RunState | None = None) -> RunState:
    """Fold events, the n-th of which occurs n seconds after EPOCH."""
    first_version = start.version + 1 if start else 1
    events = [
        NewEvent(kind, data, id=f"e{version}", occurred_at=EPOCH + timedelta(seconds=version))
        for version, (kind, data) in enumerate(given, first_version)
    ]
    return fold(record("run-1", events, first_version=first_version), start)


def second(number: int) -> int:
    return START_MS + number * 1_000


def paused(pause_id: str = "p", window_ms: int | None = DAY_MS, **more: Any) -> Given:
    data = {"pause_id": pause_id, "state": {"step": 1}, "window_ms": window_ms}
    return ("run.paused", {**data, "on_expiry": "restore", "resume_at": "ask", **more})


def resumed(pause_id: str = "p", **more: Any) -> Given:
    return ("run.resumed", {"pause_id": pause_id, "cause": "manual", **more})


CREATED: Given = ("run.created", {"input": 7, "labels": {"team": "x"}, "parent": "run-0"})
STARTED: Given = ("run.started", {})
EXPIRED: Given = ("run.window_expired", {"pause_id": "p"})
COMPLETED: Given = ("run.completed", {"output": 42})
FAILED: Given = ("run.failed", {"error": {"type": "E", "message": "m"}})
ABORTED: Given = ("run.aborted", {"reason": "enough"})
NODE: Given = ("node.started", {"node_id": "n"})
CALL: Given = ("call.started", {"call_id": "c"})
UNKNOWN: Given = ("order.shipped", {"node_id": "n", "state": {"a": 1}})


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([CREATED], "pending"),
        ([UNKNOWN], "pending"),
        ([CREATED, ("run.patched", {"patch": {"a": 1}})], "pending"),
        ([CREATED, ("signal.received", {"type": "s"})], "pending"),
        ([CREATED, STARTED], "running"),
        ([CREATED, NODE], "running"),
        ([CREATED, CALL], "running"),
        ([CREATED, ("node.queued", {"node_id": "n"})], "running"),
        ([CREATED, paused()], "paused"),
        ([CREATED, STARTED, paused()], "paused"),
        ([CREATED, paused(), NODE], "paused"),
        ([CREATED, paused(), EXPIRED], "paused"),
        ([CREATED, paused(), resumed()], "running"),
        ([CREATED, paused("p"), paused("q"), resumed("p")], "paused"),
        ([CREATED, paused("p"), paused("q"), resumed("p"), resumed("q")], "running"),
        ([CREATED, paused(), resumed("other")], "paused"),
        ([CREATED, paused(), COMPLETED], "completed"),
        ([CREATED, FAILED], "failed"),
        ([CREATED, ABORTED], "aborted"),
        ([CREATED, COMPLETED, paused()], "completed"),
        ([CREATED, COMPLETED, FAILED], "completed"),
        ([CREATED, ABORTED, STARTED], "aborted"),
        ([CREATED, COMPLETED, ("run.deleted", {})], "completed"),
    ],
)
def test_the_status_follows_the_events(given: list[Given], status: str) -> None:
    assert after(*given).status == status


def test_creation_tells_what_the_run_is() -> None:
    run = after(CREATED, STARTED, COMPLETED)
    assert (run.run_id, run.input, run.output, run.parent) == ("run-1", 7, 42, "run-0")
    assert run.labels == {"team": "x"}
    assert (run.created_ms, run.started_ms) == (second(1), second(2))
    assert (run.ended_ms, run.updated_ms) == (second(3), second(3))
    assert run.event_count == run.version == 3


def test_the_workflow_is_the_first_that_any_event_names() -> None:
    events = [NewEvent("a.b"), NewEvent("a.b", workflow_id="w1"), NewEvent("a.b", workflow_id="w2")]
    assert fold(record("run-1", events)).workflow_id == "w1"


def test_a_failure_keeps_its_error_and_an_abort_its_reason() -> None:
    assert after(CREATED, FAILED).error == {"type": "E", "message": "m"}
    assert after(CREATED, ABORTED).reason == "enough"


def test_checkpoints_set_the_state_and_patches_replace_its_top_level_keys() -> None:
    run = after(
        CREATED,
        ("checkpoint.saved", {"state": {"a": {"x": 1}, "b": 2}, "resume_at": "n2"}),
        ("run.patched", {"patch": {"a": {"y": 3}}}),
        ("node.completed", {"node_id": "n", "patch": {"c": 4}}),
    )
    assert run.state == {"a": {"y": 3}, "b": 2, "c": 4}
    assert (run.checkpoint_version, run.resume_at) == (2, "n2")


def test_a_pause_sets_the_state_and_a_resume_patches_it() -> None:
    run = after(CREATED, ("run.patched", {"patch": {"old": 1}}), paused(), resumed(patch={"b": 2}))
    assert run.state == {"step": 1, "b": 2}
    assert run.checkpoint_version == 3


def test_applying_events_leaves_their_data_alone() -> None:
    state = {"a": 1}
    pause = NewEvent(*paused(state=state))
    fold(record("run-1", [pause, NewEvent(*resumed(patch={"a": 2})), NewEvent(*NODE)]))
    assert pause.data["state"] == {"a": 1}


def test_a_window_counts_from_when_the_run_paused() -> None:
    pause = after(CREATED, paused(window_ms=5_000)).pause
    assert pause is not None
    assert (pause.paused_ms, pause.expires_ms) == (second(2), second(7))


def test_a_window_without_end_never_expires() -> None:
    pause = after(CREATED, paused(window_ms=None)).pause
    assert pause is not None
    assert pause.expires_ms is None


def test_expiry_and_restore_are_marked_on_the_open_pause() -> None:
    restored = ("run.restored", {"pause_id": "p", "checkpoint_version": 2})
    pause = after(CREATED, paused(), EXPIRED, restored).pause
    assert pause is not None
    assert (pause.expired, pause.restored_ms, pause.restored_version) == (True, second(4), 4)


def test_the_latest_open_pause_is_the_pause() -> None:
    run = after(CREATED, paused("p"), paused("q"))
    assert run.pause is run.pauses["q"]
    assert after(CREATED, paused("p"), paused("q"), paused("p")).pause == PauseLike("p", 4)


class PauseLike:
    """Equal to any pause with this id and version."""

    def __init__(self, pause_id: str, version: int) -> None:
        self._wanted = (pause_id, version)

    def __eq__(self, other: object) -> bool:
        found = (getattr(other, "pause_id", None), getattr(other, "version", None))
        return found == self._wanted

    __hash__ = None  # type: ignore[assignment]


def test_a_resume_ends_its_pause_and_tells_who() -> None:
    run = after(CREATED, paused(), resumed(actor="ann"))
    assert run.pauses == {}
    assert run.outcomes == {"p": PauseOutcome("manual", "ann", second(3), 3)}
    assert run.paused_total_ms == 1_000


def test_a_pause_under_an_id_that_was_over_is_open_and_not_over() -> None:
    run = after(CREATED, paused(), resumed(), paused())
    assert (set(run.pauses), run.outcomes) == ({"p"}, {})


def test_who_resumed_may_stand_in_the_meta() -> None:
    events = [
        NewEvent(*paused(), occurred_at=EPOCH),
        NewEvent(*resumed(), occurred_at=EPOCH, meta={"actor": "bob"}),
    ]
    assert fold(record("run-1", events)).outcomes["p"].actor == "bob"


def test_resuming_what_is_not_open_counts_and_changes_nothing_else() -> None:
    before = after(CREATED, ("signal.received", {"type": "s"}), paused(), resumed())
    again = after(resumed(patch={"x": 1}, consumed=["e2"]), start=before)
    assert (again.state, again.outcomes, again.signals) == (
        before.state,
        before.outcomes,
        before.signals,
    )
    assert again.version == before.version + 1


def test_the_time_of_all_resumed_pauses_is_summed() -> None:
    run = after(CREATED, paused(), resumed(), paused(), NODE, resumed(), paused())
    assert run.paused_total_ms == 3_000


def test_an_end_closes_open_pauses() -> None:
    run = after(CREATED, paused("p"), paused("q"), FAILED)
    assert run.pauses == {}
    assert {run.outcomes[pause_id].cause for pause_id in "pq"} == {"run_ended"}
    assert run.paused_total_ms == 0


def test_signals_wait_until_a_resume_consumes_them() -> None:
    signals = [("signal.received", {"type": "s", "payload": n}) for n in range(3)]
    run = after(CREATED, *signals, paused(), resumed(consumed=["e2", "e4"]))
    assert [(signal.event_id, signal.payload) for signal in run.signals] == [("e3", 1)]


def test_calls_are_open_until_they_end() -> None:
    run = after(CREATED, CALL, ("call.started", {"call_id": "d", "kind": "tool", "name": "look"}))
    assert run.calls["d"] == CallState("d", 3, None, "tool", "look", second(3))
    ended = after(
        ("call.completed", {"call_id": "c"}), ("call.failed", {"call_id": "d"}), start=run
    )
    assert ended.calls == {}


def test_a_node_goes_from_queued_over_its_attempts_to_its_output() -> None:
    error = {"type": "E", "message": "m"}
    run = after(
        ("node.queued", {"node_id": "n", "label": "Fetch"}),
        NODE,
        ("node.failed", {"node_id": "n", "error": error, "will_retry": True}),
    )
    assert run.nodes["n"] == NodeState(
        "n", 1, "Fetch", "retrying", 1, second(1), second(2), second(3), None, error, 2
    )
    run = after(NODE, ("node.completed", {"node_id": "n", "output": {"rows": 3}}), start=run)
    assert run.nodes["n"] == NodeState(
        "n", 1, "Fetch", "completed", 2, second(1), second(4), second(5), {"rows": 3}, None, 4
    )


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (("node.skipped", {"node_id": "n"}), "skipped"),
        (("node.retry_scheduled", {"node_id": "n"}), "retrying"),
        (("node.failed", {"node_id": "n", "error": {"type": "E", "message": "m"}}), "failed"),
    ],
)
def test_a_node_has_the_status_of_its_last_event(event: Given, status: str) -> None:
    assert after(NODE, event).nodes["n"].status == status


def test_an_attempt_that_is_given_counts() -> None:
    assert after(("node.started", {"node_id": "n", "attempt": 5})).nodes["n"].attempts == 5


def test_the_largest_number_of_attempts_is_kept_and_a_larger_one_refused() -> None:
    run = after(("node.started", {"node_id": "n", "attempt": MAX_ATTEMPT}), NODE)
    assert run.nodes["n"].attempts == MAX_ATTEMPT + 1
    assert RunState.from_json(run.to_json()) == run
    with pytest.raises(InvalidEvent):
        NewEvent("node.started", {"node_id": "n", "attempt": MAX_ATTEMPT + 1})


def test_unknown_types_count_and_change_nothing_else() -> None:
    before = after(CREATED, NODE)
    later = after(UNKNOWN, start=before)
    before.version, before.updated_ms = later.version, later.updated_ms
    assert later == before


def test_only_deletion_counts_after_the_end() -> None:
    ended = after(CREATED, COMPLETED)
    later = after(NODE, ("run.patched", {"patch": {"a": 1}}), ("run.deleted", {}), start=ended)
    assert (later.nodes, later.state, later.deleted) == ({}, {}, True)


def test_an_event_applied_before_changes_nothing() -> None:
    events = record("run-1", [NewEvent(*CREATED), NewEvent(*NODE)])
    state = fold(events)
    assert state.apply(events[1]) is False
    assert state == fold(events)


def test_missing_events_are_an_error() -> None:
    events = record("run-1", [NewEvent(*CREATED), NewEvent(*NODE), NewEvent(*NODE)])
    with pytest.raises(HistoryGap):
        fold([events[0], events[2]])


def test_an_event_of_another_run_is_an_error() -> None:
    state = after(CREATED)
    with pytest.raises(InvalidArgument):
        state.apply(record("run-2", [NewEvent(*NODE)], first_version=2)[0])


def test_folding_on_leaves_the_start_as_it_was() -> None:
    start = after(CREATED, paused(), NODE)
    before = start.to_json()
    after(EXPIRED, resumed(patch={"a": 1}), NODE, start=start)
    assert start.to_json() == before


def test_nothing_folds_to_a_run_that_is_not_there_yet() -> None:
    assert fold([]) == RunState()


def test_every_type_with_a_transition_has_a_payload_model() -> None:
    assert set(TRANSITIONS) <= set(PAYLOADS)


def test_every_built_in_type_is_known_to_the_fold() -> None:
    assert set(PAYLOADS) == set(TRANSITIONS)


def test_what_happens_is_counted() -> None:
    failed = ("node.failed", {"node_id": "n", "error": {"type": "E", "message": "m"}})
    said = ("message.added", {"thread_id": "t", "role": "user"})
    logged = ("log.emitted", {"message": "m"})
    ended = ("call.completed", {"call_id": "c"})
    run = after(CREATED, CALL, ended, ended, failed, said, said, logged, paused(), resumed())
    assert run.counters == {"calls": 2, "failures": 1, "messages": 2, "logs": 1, "pauses": 1}


def test_what_calls_used_is_summed() -> None:
    usage = [
        {"input_tokens": 3, "cost": 0.5, "model": "m", "cached": True},
        {"input_tokens": 4, "cost": 0.25},
        {"input_tokens": 2**53, "cost": 1.7e308},
        {"cost": 1.7e308},
    ]
    run = after(*(("call.completed", {"call_id": "c", "usage": one}) for one in usage))
    assert run.usage == {"input_tokens": float(2**53 + 7), "cost": 1.7e308}
    assert RunState.from_json(run.to_json()) == run


def test_a_deleted_run_holds_nothing_of_what_it_was_about() -> None:
    run = after(CREATED, NODE, CALL, paused(), ("run.deleted", {"reason": "asked"}))
    assert (run.deleted, run.reason, run.version) == (True, "asked", 5)
    assert run.ended_ms == second(5)
    assert (run.input, run.state, run.labels, run.nodes, run.pauses) == (None, {}, {}, {}, {})
