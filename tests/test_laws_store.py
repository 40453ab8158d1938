"""The first law, over generated histories: versions are 1..n in log order; of many, one wins."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conftest import Opener
from consistency import assert_consistent
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from samples import deleted, ended, noted, paused, resumed
from servers import AnyServer

from eventstore import (
    ANY,
    NO_RUN,
    RUN_EXISTS,
    Append,
    AppendResult,
    IdempotencyConflict,
    NewEvent,
    RunClosed,
    RunStoreError,
    SyncEventStore,
    WrongExpectedVersion,
)

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    database=None,
    # Histories are short as they are; to shrink them on a real server takes minutes.
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RUNS = ["a", "b", "ключ|{c}"]
KINDS: dict[str, Callable[[int], NewEvent]] = {
    "note": lambda n: noted(str(n)),
    "pause": lambda n: paused(f"p{n % 2}", 0),
    "resume": lambda n: resumed(f"p{n % 2}"),
    "end": lambda _: ended(),
    "delete": lambda _: deleted(),
}
USUAL = st.sampled_from(["note"] * 8 + ["pause", "resume"] * 2 + ["end", "delete"])
EXPECTED = st.sampled_from(["any", "any", "none", "exists", "exact", "exact", "behind", "ahead"])


@dataclass(frozen=True)
class Call:
    """One append of a history; what is expected is relative to where the run then is."""

    run: str
    kinds: list[str]
    expected: str
    key: int | None
    identified: bool

    def events(self) -> list[NewEvent]:
        return [KINDS[kind](number) for number, kind in enumerate(self.kinds)]

    def expected_at(self, version: int) -> Any:
        named = {"any": ANY, "none": NO_RUN, "exists": RUN_EXISTS}
        shift = {"exact": 0, "behind": -1, "ahead": 1}.get(self.expected, 0)
        return named.get(self.expected, max(version + shift, 0))


CALLS = st.builds(
    Call,
    st.sampled_from(RUNS),
    st.lists(USUAL, min_size=1, max_size=4),
    EXPECTED,
    st.none() | st.integers(0, 2),
    st.booleans(),
)
HISTORIES = st.lists(CALLS | st.integers(0, 11), min_size=1, max_size=12)
"""Appends, and repetitions of earlier ones just as they were."""


@dataclass(frozen=True)
class Asked:
    """A call as it was made: expected where the run was then, and with its append id."""

    call: Call
    expected: Any
    append_id: str | None


@dataclass
class Model:
    """What a run must be after the calls so far: the promises in twenty lines."""

    kinds: list[str] = field(default_factory=list)
    keys: dict[int, tuple[list[str], int]] = field(default_factory=dict)
    ids: dict[str | None, int] = field(default_factory=dict)

    def outcome(self, asked: Asked) -> tuple[type, int, bool]:
        """Say what comes of a call, the version it tells, and whether it was known before."""
        call = asked.call
        if _ends_within(call.kinds):
            return RunClosed, -1, False
        if call.key in self.keys:
            kinds, first = self.keys[call.key]
            return (AppendResult if kinds == call.kinds else IdempotencyConflict), first, True
        if asked.append_id in self.ids:
            return AppendResult, self.ids[asked.append_id], True
        if self._is_closed_to(call.kinds):
            return RunClosed, len(self.kinds), False
        if not self._is_as(asked.expected):
            return WrongExpectedVersion, len(self.kinds), False
        first = len(self.kinds) + 1
        self.kinds += call.kinds
        if call.key is not None:
            self.keys[call.key] = (call.kinds, first)
        if asked.append_id is not None:
            self.ids[asked.append_id] = first
        return AppendResult, first, False

    def _is_closed_to(self, kinds: list[str]) -> bool:
        return "delete" in self.kinds or ("end" in self.kinds and kinds != ["delete"])

    def _is_as(self, expected: Any) -> bool:
        version = len(self.kinds)
        holds = {ANY: True, NO_RUN: version == 0, RUN_EXISTS: version > 0}
        return holds[expected] if expected in holds else bool(expected == version)


def _ends_within(kinds: list[str]) -> bool:
    """Say whether something follows an end, or a deletion, within one append."""
    if "delete" in kinds[:-1]:
        return True
    return "end" in kinds[:-1] and kinds[kinds.index("end") + 1 :] != ["delete"]


def check(asked: Asked, model: Model, store: SyncEventStore, run: str) -> None:
    """Make one call and compare what comes of it with the model."""
    kind, version, known = model.outcome(asked)
    key = None if asked.call.key is None else f"key-{asked.call.key}"
    asked_of_it = Append(run, asked.call.events(), asked.expected, key, asked.append_id)
    (outcome,) = store.append_many([asked_of_it])
    assert type(outcome) is kind, (asked, outcome)
    if isinstance(outcome, WrongExpectedVersion):
        assert outcome.actual == version
    if isinstance(outcome, AppendResult):
        assert (outcome.first_version, outcome.deduplicated) == (version, known)
        assert outcome.last_version == version + len(asked.call.kinds) - 1


@EXAMPLES
@given(history=HISTORIES)
def test_any_history_goes_as_the_promises_say(
    history: list[Call | int], sync_store: SyncEventStore, server: AnyServer, namespace: str
) -> None:
    example = uuid.uuid4().hex[:6]
    models = {run: Model() for run in RUNS}
    done: list[Asked] = []
    for number, step in enumerate(history):
        if isinstance(step, Call):
            expected = step.expected_at(len(models[step.run].kinds))
            asked = Asked(step, expected, f"{example}-{number}" if step.identified else None)
        elif done:
            asked = done[step % len(done)]
        else:
            continue
        done.append(asked)
        run = asked.call.run
        check(asked, models[run], sync_store, f"{example}-{run}")

    histories = assert_consistent(server, namespace)
    for run, model in models.items():
        entries = histories.get(f"{example}-{run}", [])
        written = [KINDS[kind](0).type for kind in model.kinds]
        assert [entry.event["type"] for entry in entries] == written


@EXAMPLES
@given(
    rivals=st.lists(
        st.tuples(st.sampled_from(RUNS), st.integers(0, 3), st.integers(1, 3)),
        min_size=2,
        max_size=40,
    )
)
def test_of_all_who_expect_the_same_version_exactly_one_wins(
    rivals: list[tuple[str, int, int]], server: AnyServer, namespace: str, open_any: Opener
) -> None:
    example = uuid.uuid4().hex[:6]

    async def race() -> list[AppendResult | RunStoreError]:
        async with open_any(server.url, namespace=namespace) as store:
            return await store.append_many(
                Append(f"{example}-{run}", [noted()] * count, expected=expected)
                for run, expected, count in rivals
            )

    outcomes = asyncio.run(race())

    histories = assert_consistent(server, namespace)
    firsts = set()
    for (run, expected, count), outcome in zip(rivals, outcomes, strict=True):
        if isinstance(outcome, AppendResult):
            assert outcome.first_version == expected + 1
            assert outcome.last_version == expected + count
            assert (run, outcome.first_version) not in firsts
            firsts.add((run, outcome.first_version))
        else:
            assert isinstance(outcome, WrongExpectedVersion)
            assert outcome.actual != expected
    won = Counter[str]()
    for outcome in outcomes:
        if isinstance(outcome, AppendResult):
            won[outcome.run_id] += outcome.last_version - outcome.first_version + 1
    assert won == {run: len(es) for run, es in histories.items() if run.startswith(example)}
