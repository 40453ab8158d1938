"""Stored values in the fold: named, kept as long as something names them, and never mistaken."""

from __future__ import annotations

import math
from typing import Any

import pytest
from histories import folded, record

from eventstore import CorruptEvent, InvalidEvent, NewEvent, Settings
from eventstore.events import STORED, value_digest
from projections.state import RunState, fold
from replay.storing import store_apart

DRAFT, OTHER = "the draft", ["another"]


def stored(value: Any) -> NewEvent:
    return NewEvent(STORED, {"digest": value_digest(value), "value": value})


def saved(**values: Any) -> NewEvent:
    """Make a checkpoint whose state names these values."""
    named = {key: value_digest(value) for key, value in values.items()}
    return NewEvent("checkpoint.saved", {"state": {"n": 1}, "stored": named})


def paused(pause_id: str, **values: Any) -> NewEvent:
    data = saved(**values).data
    more = {"pause_id": pause_id, "window_ms": None, "on_expiry": "park"}
    return NewEvent("run.paused", {**data, **more})


def resumed(pause_id: str, **patch: Any) -> NewEvent:
    return NewEvent("run.resumed", {"pause_id": pause_id, "cause": "manual", "patch": patch})


def after(*events: NewEvent) -> RunState:
    """Fold events, once straight and once through JSON at each step."""
    return folded(record("run", events))


def held(run: RunState) -> list[Any]:
    return list(run.stored_values.values())


def test_a_state_has_the_values_that_it_names() -> None:
    run = after(stored(DRAFT), stored(OTHER), paused("p", draft=DRAFT, other=OTHER))
    whole = {"n": 1, "draft": DRAFT, "other": OTHER}
    assert run.state == whole == run.pauses["p"].state
    assert run.to_json().count(DRAFT.encode()) == 1
    assert run.shown()["state"] == run.shown()["pauses"]["p"]["state"] == whole


def test_a_patch_replaces_a_value_everywhere() -> None:
    run = after(stored(DRAFT), paused("p", draft=DRAFT), paused("q", draft=DRAFT),
                resumed("q", draft="new"))  # fmt: skip
    assert run.state == run.pauses["p"].state == {"n": 1, "draft": "new"}
    assert run.stored == run.pauses["p"].stored == {}


def test_a_value_is_kept_while_a_pause_or_the_latest_checkpoint_names_it() -> None:
    events = [stored(DRAFT), paused("p", draft=DRAFT), stored(OTHER), saved(other=OTHER)]
    # a checkpoint is for each open pause, too
    assert held(after(*events)) == [OTHER]
    # another pause leaves the first one its value
    events = [stored(DRAFT), paused("p", draft=DRAFT), stored(OTHER), paused("q", other=OTHER)]
    assert held(after(*events)) == [DRAFT, OTHER]
    assert after(*events).pauses["p"].state["draft"] == DRAFT
    # once it is over, the next checkpoint lets the value go
    events += [resumed("p")]
    assert held(after(*events)) == [DRAFT, OTHER]
    assert held(after(*events, saved(other=OTHER))) == [OTHER]
    # and so does the end
    assert held(after(*events, NewEvent("run.completed"))) == [OTHER]
    deleted = after(*events, NewEvent("run.completed"), NewEvent("run.deleted"))
    assert (deleted.stored, deleted.stored_values, deleted.state) == ({}, {}, {})


def test_a_value_that_the_run_does_not_hold_is_told_with_its_key() -> None:
    missing = record("run", [stored(OTHER), saved(draft=DRAFT)])
    with pytest.raises(CorruptEvent, match=r"version 2 of run 'run'.*'draft' of its state"):
        fold(missing)


def test_what_one_append_tells_needs_nothing_that_it_lets_go_itself() -> None:
    # given a run that keeps a value
    run = after(stored(DRAFT), saved(draft=DRAFT))
    # when one append tells a state without it, and one with it again
    states = [{"other": OTHER}, {"draft": DRAFT}, {"more": DRAFT}]
    told = [NewEvent("checkpoint.saved", {"state": state}) for state in states]
    events = store_apart(run, told, Settings(inline_state_bytes=1))
    # then the value is stored again for the second state, and not for the third
    assert [event.type == STORED for event in events] == [True, False, True, False, False]
    for event in record("run", events, first_version=3):
        run.apply(event)
    assert run.state == {"more": DRAFT}


def test_what_looks_like_a_name_in_a_state_is_not_taken_for_one() -> None:
    state = {"stored": {"draft": value_digest(DRAFT)}, "$stored": value_digest(DRAFT)}
    run = after(stored(DRAFT), NewEvent("checkpoint.saved", {"state": state}))
    assert run.state == state
    assert held(run) == []


@pytest.mark.parametrize("value", [{"b": [1, 1.0, None], "a": "ä"}, "", 0, None, []])
def test_a_digest_is_that_of_the_value_whatever_the_order_of_keys(value: Any) -> None:
    assert stored(value).data["digest"] == value_digest(value)
    if isinstance(value, dict):
        assert value_digest(dict(sorted(value.items()))) == value_digest(value)


@pytest.mark.parametrize(
    "data",
    [
        {"digest": value_digest(1), "value": 2},
        {"digest": value_digest(1), "value": 1.0},
        {"digest": "sha256:1", "value": 1},
        {"digest": value_digest(1)},
        {"value": 1},
        {"digest": value_digest(None), "value": math.nan},
        {"digest": value_digest(1), "value": object()},
    ],
)
def test_a_value_under_a_name_that_is_not_its_own_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(STORED, data)


@pytest.mark.parametrize("name", ["draft", "sha256:1", value_digest(1)[:-1], 7, None])
def test_a_state_takes_no_other_names(name: Any) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent("checkpoint.saved", {"state": {}, "stored": {"draft": name}})
