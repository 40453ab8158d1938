"""Decisions: what may be answered, by whom, how often, and until when."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from replaying import HOUR, begin, control, pause, restorer, types

from eventstore import (
    AlreadyResumed,
    AnswerRejected,
    InvalidArgument,
    InvalidEvent,
    NewEvent,
    PauseExpired,
    PauseNotFound,
    RunClosed,
    RunNotFound,
    WrongToken,
)
from pausing.ground import APPROVAL, KEY
from replay.answers.schemas import check_schema, problems_of
from replay.answers.tokens import Token, Tokens, token_key

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTORE_TOKEN_KEY", KEY)


# Answers


async def test_an_answer_that_fits_ends_the_pause(any_store: Any) -> None:
    # given a run that waits for an approval
    await pause(any_store, "run", window=HOUR, decision_schema=APPROVAL)
    # when somebody answers
    context = await control(any_store).decide("run", {"approved": True}, actor="ann")
    # then the run goes on with the answer
    assert (context.cause, context.actor) == ("decision", "ann")
    assert context.answer == {"approved": True}
    assert context.state == {"step": 1, "approved": True}
    (resumed,) = await any_store.load("run", after=2)
    assert resumed.data["answer"] == {"approved": True}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({}, "'approved' is a required property"),
        ({"approved": "yes"}, "approved: 'yes' is not of type 'boolean'"),
        ({"approved": True, "note": "much too long"}, "note: "),
        ({"approved": True, "more": 1}, "Additional properties"),
        ([], "is not of type 'object'"),
        (None, "is not of type 'object'"),
    ],
)
async def test_an_answer_that_does_not_fit_leaves_the_pause_open_and_says_why(
    any_store: Any, answer: Any, why: str
) -> None:
    # given a run that waits for an approval
    await pause(any_store, "run", window=HOUR, decision_schema=APPROVAL)
    # when the answer does not fit
    with pytest.raises(AnswerRejected) as error:
        await control(any_store).decide("run", answer)
    # then it says why, and the right one is taken afterwards
    assert any(why in problem for problem in error.value.problems), error.value.problems
    assert pickle.loads(pickle.dumps(error.value)).problems == error.value.problems  # noqa: S301
    assert (await any_store.head("run")).version == 2
    assert (await control(any_store).decide("run", {"approved": False})).cause == "decision"


@pytest.mark.parametrize("answer", ["yes", 7, 1.5, False, None, ["a"]])
async def test_an_answer_may_be_any_json(any_store: Any, answer: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    context = await control(any_store).decide("run", answer)
    assert (context.answer, context.state) == (answer, {"step": 1})


@pytest.mark.parametrize("answer", [float("nan"), {1: 2}, b"bytes", {"big": "x" * 2_000_000}])
async def test_an_answer_that_is_no_json_is_refused(any_store: Any, answer: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    with pytest.raises(InvalidEvent):
        await control(any_store).decide("run", answer)
    assert (await any_store.head("run")).version == 2


async def test_the_outcomes_of_a_decision_can_be_told_apart(any_store: Any) -> None:
    deciding = control(any_store)
    with pytest.raises(RunNotFound):
        await deciding.decide("nobody", {})
    await begin(any_store, "run")
    with pytest.raises(PauseNotFound):
        await deciding.decide("run", {})
    await pause(any_store, "run", window=HOUR, expected=None)
    with pytest.raises(PauseNotFound):
        await deciding.decide("run", {}, pause_id="q")
    await deciding.decide("run", {}, actor="ann")
    with pytest.raises(AlreadyResumed) as error:
        await deciding.decide("run", {}, actor="bob")
    assert (error.value.cause, error.value.actor) == ("decision", "ann")
    await any_store.append("run", NewEvent("run.completed"))
    with pytest.raises(RunClosed):
        await deciding.decide("run", {})
    with pytest.raises(InvalidArgument):
        await deciding.decide(answer={})


# Schemas


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"properties": []},
        {"required": "approved"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"minimum": "3"},
        ["type"],
        "schema",
    ],
)
async def test_a_schema_that_is_none_is_refused_when_the_pause_is_made(schema: Any) -> None:
    with pytest.raises(InvalidArgument, match="decision_schema"):
        check_schema(schema)


async def test_a_pause_with_a_bad_schema_is_not_recorded(any_store: Any) -> None:
    await begin(any_store, "run")
    with pytest.raises(InvalidArgument):
        await pause(any_store, "run", decision_schema={"type": "nothing"}, expected=None)
    assert (await any_store.head("run")).version == 1


def test_a_schema_may_refer_to_itself() -> None:
    schema = {"$defs": {"name": {"type": "string"}}, "items": {"$ref": "#/$defs/name"}}
    check_schema(schema)
    assert problems_of(schema, ["a"]) == []
    assert problems_of(schema, [1]) == ["0: 1 is not of type 'string'"]


def test_problems_are_few_and_short() -> None:
    schema = {"items": {"enum": ["x" * 1_000]}}
    problems = problems_of(schema, ["y" * 1_000] * 100)
    assert len(problems) == 5
    assert max(map(len, problems)) <= 200


# Tokens


async def test_a_token_decides_once(any_store: Any) -> None:
    # given a link to a pause
    await pause(any_store, "run", window=HOUR, decision_schema=APPROVAL)
    token = await control(any_store).token("run")
    assert set(token) <= set(ALPHABET)
    # when it is used, first with an answer that does not fit
    with pytest.raises(AnswerRejected):
        await control(any_store).decide(token=token, answer={})
    context = await control(any_store).decide(token=token, answer={"approved": True}, actor="a")
    # then the run goes on, and the second use is told who was first
    assert (context.run_id, context.pause_id) == ("run", "p")
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).decide(token=token, answer={"approved": False})
    assert (error.value.cause, error.value.actor) == ("decision", "a")


async def test_a_token_does_not_open_a_later_pause_of_the_same_name(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    token = await control(any_store).token("run")
    await control(any_store).decide(token=token, answer={})
    await pause(any_store, "run", window=HOUR, expected=None)
    with pytest.raises(AlreadyResumed):
        await control(any_store).decide(token=token, answer={})
    assert (await any_store.head("run")).version == 4


@pytest.mark.parametrize("on_expiry", ["restore", "park", "fail", "abort"])
async def test_a_token_that_comes_too_late_is_told_so(any_store: Any, on_expiry: str) -> None:
    # given a link that counts for no time, and a pause whose window has ended too
    await pause(any_store, "run", window=HOUR, on_expiry=on_expiry)
    token = await control(any_store).token("run", valid_for=0)
    # when it is used before and after the window's end / then it is too late each time
    for _ in range(2):
        with pytest.raises(PauseExpired) as error:
            await control(any_store).decide(token=token, answer={})
        assert (error.value.run_id, error.value.pause_id) == ("run", "p")
        assert error.value.expired_at is not None
        if (await any_store.head("run")).version == 2:
            await control(any_store).expire("run")


async def test_a_token_counts_while_its_window_lasts(any_store: Any) -> None:
    await pause(any_store, "run", window=0, on_expiry="park")
    token = await control(any_store).token("run")
    with pytest.raises(PauseExpired):
        await control(any_store).decide(token=token, answer={})
    # but one that is valid for longer than the window is as good as a resume
    longer = await control(any_store).token("run", valid_for=HOUR)
    assert (await control(any_store).decide(token=longer, answer={})).restored


def test_a_token_altered_in_any_byte_is_refused() -> None:
    # given a token
    tokens = Tokens(KEY.encode(), "store")
    token = tokens.sign(Token("run-1", "approval", 12, 1_700_000_000_000))
    assert tokens.read(token) == Token("run-1", "approval", 12, 1_700_000_000_000)
    # when any of its characters is another one, or is missing, or is doubled
    for place, character in enumerate(token):
        changed = [token[:place] + other + token[place + 1 :] for other in ALPHABET + "=%é\0"]
        changed += [token[:place] + token[place + 1 :], token[:place] + character + token[place:]]
        # then it is none
        for text in set(changed) - {token}:
            with pytest.raises(WrongToken):
                tokens.read(text)


@pytest.mark.parametrize("text", ["", ".", "a.b", "run", "x" * 5_000, "é.é", "\ud800.a", None, 5])
def test_what_is_no_token_is_refused(text: Any) -> None:
    with pytest.raises(WrongToken):
        Tokens(KEY.encode(), "store").read(text)


def test_a_token_of_another_key_or_store_is_refused() -> None:
    token = Tokens(KEY.encode(), "store").sign(Token("run", "p", 2, None))
    for other in (Tokens(KEY.encode(), "other"), Tokens(KEY.encode()[::-1], "store")):
        with pytest.raises(WrongToken):
            other.read(token)


async def test_a_run_id_is_never_taken_for_a_token(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    with pytest.raises(WrongToken):
        await control(any_store).decide(token="run", answer={})  # noqa: S106 - it is none
    token = await control(any_store).token("run")
    with pytest.raises(InvalidArgument):
        await control(any_store).decide("other", {}, token=token)
    assert (await any_store.head("run")).version == 2


def test_the_key_is_asked_for_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert token_key() == KEY.encode()
    with pytest.raises(InvalidArgument) as error:
        token_key(KEY[:15])
    assert KEY[:15] not in str(error.value)
    monkeypatch.delenv("RUNSTORE_TOKEN_KEY")
    with pytest.raises(InvalidArgument, match="RUNSTORE_TOKEN_KEY"):
        token_key()
    assert KEY not in repr(Tokens(KEY.encode(), "s")) + repr(vars(Tokens(KEY.encode(), "s")))


# Attempts


async def test_who_comes_again_with_the_same_attempt_has_won_already(any_store: Any) -> None:
    # given a resume of which no answer came
    await pause(any_store, "run")
    first = await control(any_store).resume("run", {"a": 1}, actor="ann", attempt_id="try-1")
    # when it is tried again, by another process
    again = await control(any_store).resume("run", {"a": 1}, actor="ann", attempt_id="try-1")
    # then it is the winner, with the very same context, and others are not
    assert again == first
    with pytest.raises(AlreadyResumed):
        await control(any_store).resume("run", {"a": 1}, actor="ann", attempt_id="try-2")
    assert types(await any_store.load("run")).count("run.resumed") == 1
    # and once somebody has gone on with the run, the context is the old one, which is fenced
    await any_store.append("run", NewEvent("run.recovered"))
    late = await control(any_store).resume("run", attempt_id="try-1")
    assert late.version == first.version


async def test_an_answer_can_be_given_again_in_the_same_attempt(any_store: Any) -> None:
    await pause(any_store, "run", window=HOUR)
    token = await control(any_store).token("run")
    first = await control(any_store).decide(token=token, answer=[1], attempt_id="mail-7")
    again = await control(any_store).decide(token=token, answer=[1], attempt_id="mail-7")
    assert first == again
    assert again.answer == [1]


async def test_whom_a_window_beat_learns_that(any_store: Any) -> None:
    await pause(any_store, "run")
    await restorer(any_store, lambda _: None).run_once()
    with pytest.raises(AlreadyResumed) as error:
        await control(any_store).decide("run", {})
    assert error.value.cause == "window_expired"
