"""What was asked of a waiting run cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from eventstore.errors.base import RunStoreError, short


class PauseNotFound(RunStoreError, LookupError):
    """The run has no such open pause; ``open_pauses`` lists the ids it has."""

    run_id: str
    pause_id: str | None
    open_pauses: tuple[str, ...]

    def __init__(self, run_id: str, pause_id: str | None, open_pauses: Sequence[str] = ()) -> None:
        listed = ", ".join(map(short, open_pauses)) or "none"
        told = f"no pause {short(pause_id)}; open pauses: {listed}"
        if not pause_id:
            told = f"several open pauses: {listed}; say which" if open_pauses else "no open pause"
        super().__init__(
            f"run {short(run_id)} has {told}",
            run_id=run_id,
            pause_id=pause_id,
            open_pauses=tuple(open_pauses),
        )


class AlreadyResumed(RunStoreError):
    """Another resume, decision, time-out or expiry went first: ``cause`` and ``actor`` say who."""

    run_id: str
    pause_id: str
    cause: str | None
    actor: str | None

    def __init__(
        self, run_id: str, pause_id: str, cause: str | None = None, actor: str | None = None
    ) -> None:
        who = f" by {short(actor)}" if actor else ""
        super().__init__(
            f"pause {short(pause_id)} of run {short(run_id)} was already ended"
            f" ({cause or 'unknown cause'}){who}",
            run_id=run_id,
            pause_id=pause_id,
            cause=cause,
            actor=actor,
        )


class PauseExpired(RunStoreError):
    """It came too late: the window of the pause, or the time of the token, ended at that time."""

    run_id: str
    pause_id: str
    expired_at: datetime | None

    def __init__(self, run_id: str, pause_id: str, expired_at: datetime | None = None) -> None:
        when = f" at {expired_at:%Y-%m-%d %H:%M:%S} UTC" if expired_at else ""
        super().__init__(
            f"the time for pause {short(pause_id)} of run {short(run_id)} ended{when}; "
            "if it is still open, resume it",
            run_id=run_id,
            pause_id=pause_id,
            expired_at=expired_at,
        )


class WrongToken(RunStoreError):
    """This is no resume token of this store: cut, changed, or signed with another key."""

    def __init__(self) -> None:
        super().__init__(
            "this is no resume token of this store: it was cut or changed on its way, or signed "
            "with another key; use the link as it was sent, or ask for a new one"
        )


class AnswerRejected(RunStoreError):
    """The answer does not fit the pause's ``decision_schema``. The pause stays open.

    ``problems`` says where and why, the first few of them.
    """

    run_id: str
    pause_id: str
    problems: tuple[str, ...]

    def __init__(self, run_id: str, pause_id: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"the answer to pause {short(pause_id)} of run {short(run_id)} does not fit: "
            f"{'; '.join(problems)}; the pause is still open",
            run_id=run_id,
            pause_id=pause_id,
            problems=tuple(problems),
        )


class SignalBufferFull(RunStoreError):
    """The run keeps ``limit`` signals that nothing consumed yet. Nothing was written."""

    run_id: str
    limit: int

    def __init__(self, run_id: str, limit: int) -> None:
        super().__init__(
            f"run {short(run_id)} keeps {limit} signals that nothing consumed yet; let it "
            "consume some, drop by a rule (when_full), or raise max_buffered_signals",
            run_id=run_id,
            limit=limit,
        )


class DefinitionChanged(RunStoreError):
    """The workflow's definition is not the one that the run was paused under."""

    run_id: str

    def __init__(self, run_id: str, recorded: str, current: str) -> None:
        super().__init__(
            f"run {short(run_id)} was paused under definition {short(recorded)}, "
            f"the worker has {short(current)}; register a migration or insist",
            run_id=run_id,
            recorded=recorded,
            current=current,
        )
