"""Which signals end which pause."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.state import PauseState, RunState, SignalState
from replay.signals.matching import fits, is_watching, match, satisfied

KINDS = ("a", "b")
AT_LEAST = (None, 1, 2)


def pause(wait_for: list[dict[str, Any]], mode: str = "any", pause_id: str = "p") -> PauseState:
    return PauseState(
        pause_id=pause_id, version=1, node_id=None, reason=None, resume_at=None, state={},
        window_ms=None, on_expiry="park", paused_ms=0, expires_ms=None,
        wait_for=wait_for, wait_mode=mode,
    )  # fmt: skip


def waited(kind: str, least: int | None = None, into: str | None = None) -> dict[str, Any]:
    conditions = [] if least is None else [{"field": "n", "op": ">=", "value": least}]
    return {"type": kind, "conditions": conditions} | ({"into": into} if into else {})


def signals(*given: tuple[str, int]) -> list[SignalState]:
    return [
        SignalState(str(place), kind, {"n": n}, None, place + 1)
        for place, (kind, n) in enumerate(given)
    ]


def ids(matches: Any) -> list[str] | None:
    return None if matches is None else [signal.event_id for signal, _ in matches]


waits = st.lists(st.builds(waited, st.sampled_from(KINDS), st.sampled_from(AT_LEAST)), max_size=4)
arrivals = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), max_size=6)


@given(wait_for=waits, arrived=arrivals)
def test_any_takes_the_earliest_signal_that_something_waits_for(
    wait_for: list[dict[str, Any]], arrived: list[tuple[str, int]]
) -> None:
    kept = signals(*arrived)
    fitting = [s.event_id for s in kept if any(fits(w, s) for w in wait_for)]
    assert ids(match(pause(wait_for), kept)) == (fitting[:1] or None)


@given(wait_for=waits, arrived=arrivals)
def test_all_takes_a_signal_for_each_entry_if_any_assignment_exists(
    wait_for: list[dict[str, Any]], arrived: list[tuple[str, int]]
) -> None:
    # given every way to give each entry a signal of its own
    kept = signals(*arrived)
    ways = [
        sorted(int(signal.event_id) for signal in chosen)
        for chosen in permutations(kept, len(wait_for))
        if all(map(fits, wait_for, chosen))
    ]
    # when they are matched
    found = match(pause(wait_for, "all"), kept)
    # then the earliest that do are found, in order of arrival, each for an entry that it fits
    expected = [str(n) for n in min(ways)] if ways and wait_for else None
    assert ids(found) == expected
    for signal, entry in found or ():
        assert fits(entry, signal)
    assert found is None or sorted(map(str, wait_for)) == sorted(str(entry) for _, entry in found)


def test_a_signal_moves_to_another_entry_to_make_room() -> None:
    wait_for = [waited("a"), waited("a", 2)]
    assert ids(match(pause(wait_for, "all"), signals(("a", 2), ("a", 1)))) == ["0", "1"]


@pytest.mark.parametrize("mode", ["any", "all"])
def test_a_pause_that_waits_for_nothing_is_ended_by_no_signal(mode: str) -> None:
    assert match(pause([], mode), signals(("a", 1))) is None


def test_the_pause_that_began_first_gets_the_signal() -> None:
    first, second = pause([waited("a")], pause_id="1"), pause([waited("a")], pause_id="2")
    found = satisfied(RunState("run", pauses={"1": first, "2": second}), signals(("a", 1)))
    assert found is not None
    assert found.pause is first


def test_payloads_go_into_the_state_where_they_are_asked_for() -> None:
    wait_for = [waited("a", into="answer"), waited("b")]
    found = satisfied(
        RunState("run", pauses={"p": pause(wait_for, "all")}), signals(("b", 1), ("a", 2))
    )
    assert found is not None
    assert found.patch == {"answer": {"n": 2}}
    assert [signal.event_id for signal in found.signals] == ["0", "1"]


def test_a_run_watches_by_its_open_pauses() -> None:
    state = RunState("run", pauses={"p": pause([waited("a", 2)])})
    assert is_watching(state, "a", {"n": 2})
    assert not is_watching(state, "a", {"n": 1})
    assert not is_watching(state, "b", {"n": 2})
