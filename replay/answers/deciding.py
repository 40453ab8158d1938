"""Answers to paused runs, as plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventstore import (
    AlreadyResumed,
    AnswerRejected,
    InvalidArgument,
    InvalidEvent,
    PauseExpired,
    RecordedEvent,
    RunClosed,
)
from eventstore.clock import from_ms
from eventstore.codec import encode_json
from eventstore.commands import server_time
from eventstore.operations import Operations
from eventstore.plan import Plan
from projections.state import PauseState
from replay.answers.schemas import problems_of
from replay.answers.tokens import Token
from replay.context import RunContext
from replay.decision import EXPIRED
from replay.definitions import Definitions
from replay.pausing import Ending, Window, end_pause, open_pause, window_in_ms
from replay.recording import load_state

REPLACED = "replaced"
"""The cause where a token's pause was replaced by a later one of the same id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, who gives it, and in which attempt."""

    value: Any
    actor: str | None = None
    attempt_id: str | None = None

    @property
    def ending(self) -> Ending:
        """How it ends a pause: an answer that is an object goes into the state."""
        patch = self.value if isinstance(self.value, dict) else None
        return Ending("decision", patch, self.actor, self.attempt_id, {"answer": self.value})


def decide(
    operations: Operations,
    run_id: str | None,
    pause_id: str | None,
    answer: Answer,
    definitions: Definitions | None,
    token: Token | None,
) -> Plan[RunContext]:
    """End a pause by an answer that fits what it asks for."""
    _check_answer(operations, answer.value)
    if token is None:
        if run_id is None:
            raise InvalidArgument("decide needs a run_id, or a token")
        check = _Check(answer.value, None)
        return (
            yield from end_pause(operations, run_id, pause_id, answer.ending, definitions, check)
        )
    if run_id not in (None, token.run_id) or pause_id not in (None, token.pause_id):
        raise InvalidArgument("the token is for another run or pause; pass the token alone")
    return (yield from _decide_by_token(operations, answer, definitions, token))


def _decide_by_token(
    operations: Operations, answer: Answer, definitions: Definitions | None, token: Token
) -> Plan[RunContext]:
    check = _Check(answer.value, token)
    run_id, pause_id = token.run_id, token.pause_id
    try:
        return (
            yield from end_pause(operations, run_id, pause_id, answer.ending, definitions, check)
        )
    except (RunClosed, AlreadyResumed) as over:
        if isinstance(over, RunClosed) or over.cause == EXPIRED:
            yield from _check_deadline(token)
        raise


@dataclass(frozen=True, slots=True)
class _Check:
    """Refuses what does not fit the pause."""

    answer: Any
    token: Token | None

    def __call__(self, events: list[RecordedEvent], pause: PauseState) -> Plan[None]:
        run_id = events[0].run_id
        if self.token is not None:
            if pause.version != self.token.version:
                raise AlreadyResumed(run_id, pause.pause_id, REPLACED)
            yield from _check_deadline(self.token)
        schema = events[pause.version - 1].data.get("decision_schema")
        problems = problems_of(schema, self.answer) if schema is not None else []
        if problems:
            raise AnswerRejected(run_id, pause.pause_id, problems)


def _check_deadline(token: Token) -> Plan[None]:
    if token.deadline_ms is None:
        return
    (now_ms,) = yield [server_time()]
    if now_ms >= token.deadline_ms:
        raise PauseExpired(token.run_id, token.pause_id, from_ms(token.deadline_ms))


def _check_answer(operations: Operations, answer: Any) -> None:
    size, limit = len(encode_json(answer, "answer")), operations.settings.max_event_bytes
    if size > limit:
        raise InvalidEvent(f"the answer is {size} bytes encoded, over {limit}", size_bytes=size)


def token_for(
    operations: Operations, run_id: str, pause_id: str | None, valid_for: Window
) -> Plan[Token]:
    """Say what a token for an open pause must say.

    Its deadline is the end of the window, unless ``valid_for`` says otherwise.
    """
    valid_ms = window_in_ms(valid_for)
    state = yield from load_state(operations, run_id)
    pause = open_pause(state, pause_id)
    deadline_ms = pause.expires_ms
    if valid_ms is not None:
        (now_ms,) = yield [server_time()]
        deadline_ms = now_ms + valid_ms
    return Token(run_id, pause.pause_id, pause.version, deadline_ms)
