"""Runs whose stream was dropped: what can still be done with them, and what never can."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from conftest import Opener
from hypothesis import given
from hypothesis import strategies as st
from samples import deleted, ended, noted, notes, paused
from servers import AnyServer
from test_laws_store import HISTORIES, RUNS, Asked, Call, Model

from eventstore import (
    ANY,
    NO_RUN,
    RUN_EXISTS,
    Append,
    AppendResult,
    IdempotencyConflict,
    NewEvent,
    OutcomeUnknown,
    RunClosed,
    WrongExpectedVersion,
)
from replay import SyncRestorer, SyncRunControl
from retention.ground import Ground, expired
from retention.test_laws import EXAMPLES

RUN = "run"


def end_and_drop(ground: Ground, run: str = RUN) -> None:
    """End a run and let its stream go."""
    ground.append(run, noted(), ended())
    ground.archive_and_trim()
    assert not ground.holds_stream(run)


def test_a_run_that_ended_loses_its_stream_and_is_read_as_before(ground: Ground) -> None:
    ground.append(RUN, *notes(7), ended())
    ground.archive()

    report = ground.trim()

    assert report.dropped_runs == 1
    assert not ground.holds_stream(RUN)
    assert ground.store.load(RUN) == ground.runs[RUN]
    assert list(ground.store.read_run(RUN, backwards=True, limit=4)) == ground.runs[RUN][:3:-1]
    assert ground.store.head(RUN).closed
    assert ground.trim().dropped_runs == 0


@pytest.mark.parametrize(
    ("kinds", "goes"),
    [
        ([noted()], False),
        ([paused()], False),
        ([paused(), expired()], True),
        ([ended()], True),
        ([ended(), deleted()], True),
    ],
    ids=["running", "paused", "expired", "ended", "deleted"],
)
def test_only_runs_that_are_over_or_wait_beyond_their_window_go(
    ground: Ground, kinds: list[NewEvent], goes: bool
) -> None:
    ground.append(RUN, *kinds)

    report = ground.archive_and_trim()

    assert report.dropped_runs == (1 if goes else 0)
    assert ground.holds_stream(RUN) is not goes
    loaded = ground.store.load(RUN)
    if kinds[-1].type == "run.deleted":
        assert [event.version for event in loaded] == [1, 2]
        assert loaded[0].type == "event.erased"  # what it told is gone for good
    else:
        assert loaded == ground.runs[RUN]


def test_a_run_that_went_on_since_it_was_archived_keeps_its_stream(ground: Ground) -> None:
    ground.append(RUN, paused(), expired())
    ground.archive()
    ground.append(RUN, noted("woken up"))

    assert ground.trim().dropped_runs == 0

    assert ground.holds_stream(RUN)
    assert ground.store.load(RUN) == ground.runs[RUN]


def test_a_head_survives_with_all_it_knows(ground: Ground) -> None:
    ground.append(RUN, noted(), idempotency_key="key")
    ground.append(RUN, paused("a-pause-with-a-name-far-too-long-for-a-compact-hash" * 3))
    ground.append(RUN, ended())
    head = ground.server.admin.hgetall(ground.store.operations.keys.head(RUN))

    ground.archive_and_trim()

    assert ground.server.admin.hgetall(ground.store.operations.keys.head(RUN)) == head


@pytest.mark.parametrize("kind", ["ended", "parked"])
def test_what_stays_of_a_run_is_small(ground: Ground, kind: str) -> None:
    """Also where a long field had spread the head out: one of a timer, of two long ids."""
    run, pause_id = str(uuid.uuid4()), str(uuid.uuid4())
    ground.append(run, NewEvent("run.created", {}, workflow_id="invoice-check"), paused(pause_id))
    ground.append(run, ended() if kind == "ended" else expired(pause_id))

    ground.archive_and_trim()

    assert not ground.holds_stream(run)
    assert ground.server.admin.memory_usage(ground.store.operations.keys.head(run)) <= 250


def test_its_id_stays_taken_and_its_end_sticky(ground: Ground) -> None:
    end_and_drop(ground)

    refused = [ground.append(RUN, noted(), expected=e) for e in (NO_RUN, 0, RUN_EXISTS, ANY, 2)]

    assert all(isinstance(each, RunClosed) for each in refused)
    assert ground.append(RUN, deleted()).first_version == 3


def test_the_id_of_a_parked_run_stays_taken(ground: Ground) -> None:
    ground.append(RUN, paused(), expired())
    ground.archive_and_trim()
    assert not ground.holds_stream(RUN)

    assert isinstance(ground.append(RUN, noted(), expected=NO_RUN), WrongExpectedVersion)
    assert ground.append(RUN, noted(), expected=2).first_version == 3
    assert ground.store.load(RUN) == ground.runs[RUN]


def test_an_idempotency_key_is_known_for_the_runs_whole_life(ground: Ground) -> None:
    first = ground.append(RUN, noted("pay"), idempotency_key="key")
    end_and_drop(ground)

    again = ground.append(RUN, noted("pay"), idempotency_key="key")

    assert (again.first_version, again.deduplicated) == (first.first_version, True)
    other = ground.append(RUN, noted("pay twice"), idempotency_key="key")
    assert isinstance(other, IdempotencyConflict)


EXPECTED: list[Any] = [ANY, RUN_EXISTS, 1]


@pytest.mark.parametrize("expected", [*EXPECTED, NO_RUN])
async def test_a_retried_append_is_known_after_its_stream_was_dropped(
    ground: Ground, expected: Any, open_any: Opener
) -> None:
    if expected != NO_RUN:
        ground.append(RUN, noted("before"))
    events = notes(2)
    first = ground.append(RUN, *events, expected=expected, append_id="id")
    end_and_drop(ground)
    ground.append(RUN, deleted())

    again = await retried(ground, open_any, Append(RUN, events, expected, append_id="id"))

    assert isinstance(again, AppendResult)
    assert again.deduplicated
    assert again.positions == first.positions
    assert ground.store.load(RUN) == ground.runs[RUN]


@pytest.mark.parametrize("expected", EXPECTED)
async def test_an_append_that_was_never_written_is_written_after_its_stream_was_dropped(
    ground: Ground, expected: Any, open_any: Opener
) -> None:
    ground.append(RUN, paused(), expired())
    ground.archive_and_trim()
    at = 2 if expected == 1 else expected

    for asked in (at, 3 if at == 2 else at):
        fresh = uuid.uuid4().hex
        result = await retried(ground, open_any, Append(RUN, noted(), asked, append_id=fresh))
        assert isinstance(result, AppendResult)
        assert not result.deduplicated

    assert [event.version for event in ground.store.load(RUN)] == [1, 2, 3, 4]


async def test_it_is_found_in_the_rest_of_the_stream_as_well(
    ground: Ground, open_any: Opener
) -> None:
    ground.append(RUN, paused(), expired())
    ground.archive_and_trim()
    ground.append(RUN, noted(), append_id="later")

    again = await retried(ground, open_any, Append(RUN, noted(), append_id="later"))

    assert isinstance(again, AppendResult)
    assert (again.first_version, again.deduplicated) == (3, True)


async def test_without_the_archive_nobody_guesses(ground: Ground, open_any: Opener) -> None:
    events = notes(2)
    ground.append(RUN, *events, append_id="id")
    end_and_drop(ground)

    outcome = await retried(ground, open_any, Append(RUN, events, append_id="id"), archive=None)

    assert isinstance(outcome, OutcomeUnknown)
    assert "archive" in str(outcome)
    assert (outcome.append_id, outcome.begins) == ("id", 5)
    assert ground.store.head(RUN).version == 4


async def test_other_events_under_the_same_append_id_are_a_conflict(
    ground: Ground, open_any: Opener
) -> None:
    ground.append(RUN, *notes(2), append_id="id")
    end_and_drop(ground)

    outcome = await retried(ground, open_any, Append(RUN, notes(3), append_id="id"))

    assert isinstance(outcome, IdempotencyConflict)


async def test_where_nothing_can_have_been_written_no_archive_is_needed(
    ground: Ground, open_any: Opener
) -> None:
    ground.append(RUN, paused(), expired())
    ground.archive_and_trim()

    result = await retried(ground, open_any, Append(RUN, noted(), 2, append_id="x"), archive=None)

    assert isinstance(result, AppendResult)
    assert result.first_version == 3


async def retried(ground: Ground, open_any: Opener, append: Append, **options: Any) -> Any:
    """Append with a store of either form, as a retry."""
    given = {"namespace": ground.namespace, "partitions": 2, "archive": ground.path, **options}
    async with open_any(ground.server.url, **given) as store:
        (outcome,) = await store.append_many([append])
        return outcome


@EXAMPLES
@given(history=HISTORIES, trims=st.sets(st.integers(0, 12)))
def test_any_history_goes_as_the_promises_say_whatever_retention_does(
    history: list[Call | int], trims: set[int], server: AnyServer, namespace: str, tmp_path: Path
) -> None:
    """As the law of the store, with everything archived and dropped in between."""
    models = {run: Model() for run in RUNS}
    name = f"{namespace}-{uuid.uuid4().hex[:6]}"
    with Ground(server, name, tmp_path) as ground:
        done: list[Asked] = []
        for number, step in enumerate(history):
            if isinstance(step, Call):
                expected = step.expected_at(len(models[step.run].kinds))
                asked = Asked(step, expected, f"id-{number}" if step.identified else None)
            elif done:
                asked = done[step % len(done)]
            else:
                continue
            done.append(asked)
            check(asked, models[asked.call.run], ground)
            if number in trims:
                let_go(asked.call.run, models, ground)
        for run in RUNS:
            if "delete" in models[run].kinds:  # what was archived of it is erased
                told = [(event.version, event.position) for event in ground.store.load(run)]
                assert told == [(event.version, event.position) for event in ground.runs[run]]
            elif ground.runs[run]:
                assert ground.store.load(run) == ground.runs[run]
    server.forget(name)


def let_go(run: str, models: dict[str, Model], ground: Ground) -> None:
    """Have everything archived and trimmed, and the run's stream dropped."""
    if isinstance(ground.append(run, paused("p0", 0), expired("p0")), AppendResult):
        models[run].kinds += ["pause", "expire"]
    ground.archive_and_trim()
    for model in models.values():
        if "delete" in model.kinds:
            model.keys.clear()  # a deleted run is forgotten, and its idempotency keys with it
    assert not ground.runs[run] or not ground.holds_stream(run)


def check(asked: Asked, model: Model, ground: Ground) -> None:
    """Make one call and compare what comes of it with the model."""
    kind, version, known = model.outcome(asked)
    key = None if asked.call.key is None else f"key-{asked.call.key}"
    outcome = ground.append(
        asked.call.run,
        *asked.call.events(),
        expected=asked.expected,
        idempotency_key=key,
        append_id=asked.append_id,
    )
    assert type(outcome) is kind, (asked, outcome)
    if isinstance(outcome, AppendResult):
        assert (outcome.first_version, outcome.deduplicated) == (version, known)


def pause_until_expired(ground: Ground, run: str) -> None:
    """Let a run wait for a person longer than its window is, and drop its stream."""
    ground.append(run, NewEvent("run.created", {"input": 7}, workflow_id="intake"))
    control = SyncRunControl(ground.store)
    control.pause(run, state={"total": 990}, resume_at="ship", window=0, on_expiry="park")
    counts = SyncRestorer(ground.store, lambda _: None).run_once()
    assert counts.due == 1
    ground.archive_and_trim()
    assert not ground.holds_stream(run)


def test_a_paused_run_is_resumed_from_the_archive(ground: Ground) -> None:
    pause_until_expired(ground, RUN)

    context = SyncRunControl(ground.store).resume(RUN, {"approved": True}, actor="ann")

    assert context.state == {"total": 990, "approved": True}
    assert (context.resume_at, context.workflow_id) == ("ship", "intake")
    types = [event.type for event in ground.store.load(RUN)]
    assert types[:3] == ["run.created", "run.paused", "run.window_expired"]
    assert types[-1] == "run.resumed"


def test_a_resumed_run_is_hot_again_and_goes_again(ground: Ground) -> None:
    pause_until_expired(ground, RUN)
    context = SyncRunControl(ground.store).resume(RUN)
    assert ground.holds_stream(RUN)
    ground.archive_and_trim()
    assert ground.holds_stream(RUN)

    ground.store.append(RUN, ended(), expected=context.version)
    ground.archive_and_trim()

    assert not ground.holds_stream(RUN)
    versions = [event.version for event in ground.store.load(RUN)]
    assert versions == list(range(1, context.version + 2))


def test_a_paused_run_of_which_another_window_ends_is_restored_from_the_archive(
    ground: Ground,
) -> None:
    pause_until_expired(ground, RUN)
    control = SyncRunControl(ground.store)
    control.pause(RUN, state={"a": 1}, resume_at="b", window=0, on_expiry="restore", pause_id="q")
    ground.archive_and_trim()
    contexts: list[Any] = []

    SyncRestorer(ground.store, contexts.append).run_once()

    assert [context.state for context in contexts] == [{"a": 1}]
