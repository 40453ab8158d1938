"""The one error tree. Every error says what to do and carries its data as attributes.

RunStoreError
├── InvalidArgument        (ValueError)  a call was made with something it cannot take
│   ├── InvalidEvent                     an event that may not be stored
│   │   └── StateTooLarge                a state, or a value of it, that is too large
│   └── InvalidRunId                     a run id that may not be used
├── WrongExpectedVersion                 the run is not where the caller believed
├── IdempotencyConflict                  the key was used before, with other content
├── RunClosed                            the run has ended; its end is sticky
├── RunNotFound            (LookupError) no such run
├── PauseNotFound          (LookupError) the run has no such pause
├── AlreadyResumed                       another resume, decision or expiry won
├── PauseExpired                         the time in which it could be done is over
├── WrongToken                           a resume token that was not made here, or was changed
├── AnswerRejected                       an answer that does not fit what the pause asks for
├── SignalBufferFull                     the run keeps as many signals as it may
├── DefinitionChanged                    the workflow is not the one that was paused
├── UnknownGroup           (LookupError) no such consumer group
├── HistoryGap                           events that must exist are missing
├── LogRegressed                         the log ends before a place that was already read
├── CorruptEvent                         stored bytes are not the bytes that were written
├── NotDurable                           written, but not as safely as was asked
├── OutcomeUnknown                       the fate of an append is not known
├── StoreUnavailable                     the server cannot be reached
├── ServerRefused                        the server answered no (memory, disk, rights, version)
├── StoreMismatch                        store, database or file is not the one expected
├── ProjectionFailed                     a projection could not take an event
├── ImportFailed                         a line of an import file is not an event
└── WaitTimeout            (TimeoutError) what was waited for did not come in time
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any


class RunStoreError(Exception):
    """Any error of the run store. Its data are attributes; it survives pickling."""

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.__dict__.update(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(kind: type[RunStoreError], args: tuple[Any, ...], data: dict[str, Any]) -> Any:
    """Make an unpickled error without calling its own constructor."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(data)
    return error


class InvalidArgument(RunStoreError, ValueError):
    """A call was made with a value it cannot take. Nothing was written."""


class InvalidEvent(InvalidArgument):
    """An event that may not be stored: its ``reason`` says which rule it breaks."""

    reason: str

    def __init__(self, reason: str, **data: Any) -> None:
        super().__init__(f"invalid event: {reason}", reason=reason, **data)


class StateTooLarge(InvalidEvent):
    """A state is too large; ``key`` is what is largest in it. Nothing was written."""

    run_id: str
    key: str
    key_bytes: int
    size_bytes: int
    limit_bytes: int

    def __init__(
        self, run_id: str, key: str, key_bytes: int, size_bytes: int, limit_bytes: int
    ) -> None:
        super().__init__(
            f"the state of run {_short(run_id)} is too large: {size_bytes} bytes where "
            f"{limit_bytes} are taken, of which its key {_short(key)} has {key_bytes}; store that "
            "elsewhere and keep a reference",
            run_id=run_id,
            key=key,
            key_bytes=key_bytes,
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )


class InvalidRunId(InvalidArgument):
    """A run id that is empty, too long, or holds control characters."""

    run_id: Any

    def __init__(self, run_id: Any, reason: str) -> None:
        super().__init__(f"invalid run id {_short(run_id)}: {reason}", run_id=run_id, reason=reason)


class WrongExpectedVersion(RunStoreError):
    """The run is at ``actual``, not at ``expected``. Load it, decide again, append again."""

    run_id: str
    expected: str | int
    actual: int

    def __init__(self, run_id: str, expected: str | int, actual: int) -> None:
        told = (
            f"run {_short(run_id)} is there already, at version {actual}; choose another id, or "
            "append without expecting no run"
            if expected == "none"
            else f"run {_short(run_id)} is at version {actual}, not at the expected {expected}; "
            "load it and decide again"
        )
        super().__init__(
            told,
            run_id=run_id,
            expected=expected,
            actual=actual,
        )


class IdempotencyConflict(RunStoreError):
    """The idempotency key already stands for other content, written at ``first_version``."""

    run_id: str
    idempotency_key: str
    first_version: int

    def __init__(self, run_id: str, idempotency_key: str, first_version: int) -> None:
        super().__init__(
            f"idempotency key {_short(idempotency_key)} of run {_short(run_id)} was used at "
            f"version {first_version} with other content; use a new key for new content",
            run_id=run_id,
            idempotency_key=idempotency_key,
            first_version=first_version,
        )


class RunClosed(RunStoreError):
    """The run ended at ``version``; only ``run.deleted`` may follow. Fork it to go on."""

    run_id: str
    version: int

    def __init__(self, run_id: str, version: int) -> None:
        super().__init__(
            f"run {_short(run_id)} ended at version {version}; to run it again, fork it",
            run_id=run_id,
            version=version,
        )


class RunNotFound(RunStoreError, LookupError):
    """No run of this id was ever appended to in this namespace."""

    run_id: str

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {_short(run_id)} in this store", run_id=run_id)


class PauseNotFound(RunStoreError, LookupError):
    """The run has no such open pause; ``open_pauses`` lists the ids it has."""

    run_id: str
    pause_id: str | None
    open_pauses: tuple[str, ...]

    def __init__(self, run_id: str, pause_id: str | None, open_pauses: Sequence[str] = ()) -> None:
        listed = ", ".join(map(_short, open_pauses)) or "none"
        told = f"no pause {_short(pause_id)}; open pauses: {listed}"
        if not pause_id:
            told = f"several open pauses: {listed}; say which" if open_pauses else "no open pause"
        super().__init__(
            f"run {_short(run_id)} has {told}",
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
        who = f" by {_short(actor)}" if actor else ""
        super().__init__(
            f"pause {_short(pause_id)} of run {_short(run_id)} was already ended"
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
            f"the time for pause {_short(pause_id)} of run {_short(run_id)} ended{when}; "
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
            f"the answer to pause {_short(pause_id)} of run {_short(run_id)} does not fit: "
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
            f"run {_short(run_id)} keeps {limit} signals that nothing consumed yet; let it "
            "consume some, drop by a rule (when_full), or raise max_buffered_signals",
            run_id=run_id,
            limit=limit,
        )


class DefinitionChanged(RunStoreError):
    """The workflow's definition is not the one that the run was paused under."""

    run_id: str

    def __init__(self, run_id: str, recorded: str, current: str) -> None:
        super().__init__(
            f"run {_short(run_id)} was paused under definition {_short(recorded)}, "
            f"the worker has {_short(current)}; register a migration or insist",
            run_id=run_id,
            recorded=recorded,
            current=current,
        )


class UnknownGroup(RunStoreError, LookupError):
    """No consumer group of this name; pass ``create=True`` to make it."""

    group: str

    def __init__(self, group: str, known: Sequence[str] = ()) -> None:
        listed = ", ".join(sorted(known)) or "none yet"
        super().__init__(
            f"no consumer group {_short(group)} (known: {listed}); create=True makes it",
            group=group,
            known=tuple(sorted(known)),
        )


class HistoryGap(RunStoreError):
    """Events that must exist are missing: a reader asked for ``expected`` and found ``found``."""

    def __init__(self, where: str, expected: object, found: object) -> None:
        super().__init__(
            f"{where}: expected {expected}, found {found}; events are missing here",
            where=where,
            expected=str(expected),
            found=str(found),
        )


class LogRegressed(RunStoreError):
    """The log ends before a place that was already read or written: its server lost writes."""

    def __init__(self, where: str, known: object, found: object) -> None:
        super().__init__(
            f"{where}: the log was known up to {known} and now ends at {found}; the server lost "
            "acknowledged writes (restored from an old copy, or a replica that lagged took over)",
            where=where,
            known=str(known),
            found=str(found),
        )


class CorruptEvent(RunStoreError):
    """Stored bytes fail their checksum or are no event: they changed after they were written."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"corrupt event at {where}: {reason}", where=where, reason=reason)


class NotDurable(RunStoreError):
    """The append is written at ``positions``, but fewer copies than asked confirmed it."""

    def __init__(self, run_id: str, wanted: str, acknowledged: int, result: Any) -> None:
        super().__init__(
            f"the append to run {_short(run_id)} is written, but {wanted} was asked and only "
            f"{acknowledged} confirmed in time; do not append it again",
            run_id=run_id,
            wanted=wanted,
            acknowledged=acknowledged,
            result=result,
            positions=result.positions,
        )


class OutcomeUnknown(RunStoreError):
    """No answer came in time: the append may stand or not.

    ``append(..., append_id=error.append_id)`` with the same events settles it, safely. ``begins``
    says that only the archive can tell: the run's versions before it have left Redis.
    """

    run_id: str
    append_id: str
    begins: int | None
    attempt_id: str | None = None
    """Of a resume or a decision: call it again with this, and it knows whether it had won."""

    def __init__(
        self, run_id: str, append_id: str, timeout_ms: int, *, begins: int | None = None
    ) -> None:
        why = f"no answer within {timeout_ms} ms"
        how = "append"
        if begins is not None:
            why = f"versions before {begins} have left Redis, and no archive at hand holds them"
            how = "open the store with its archive, and append"
        super().__init__(
            f"{why}: the append to run {_short(run_id)} may stand or not; {how} the same events "
            f"with append_id={append_id!r} to settle it",
            run_id=run_id,
            append_id=append_id,
            timeout_ms=timeout_ms,
            begins=begins,
        )


class StoreUnavailable(RunStoreError):
    """The server could not be reached, or was not ready, in time. Nothing was written."""


class ServerRefused(RunStoreError):
    """The server answered and said no: out of memory, disk full, no rights, too old."""

    reply: str


class StoreMismatch(RunStoreError):
    """The store, database or file that was opened is not the one expected."""


class ProjectionFailed(RunStoreError):
    """A projection could not take an event: ``projection`` says which, ``position`` where."""

    projection: str
    event: Any
    position: Any


class ImportFailed(RunStoreError):
    """Line ``line`` of an import file is not an event, or contradicts the store."""

    line: int

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}", line=line, reason=reason)


class WaitTimeout(RunStoreError, TimeoutError):
    """What was waited for did not come within ``timeout_s`` seconds."""

    timeout_s: float

    def __init__(self, what: str, timeout_s: float) -> None:
        super().__init__(f"{what} did not come within {timeout_s:g} s", timeout_s=timeout_s)


def _short(value: object, limit: int = 80) -> str:
    """Show any value in a message: quoted, and cut when long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


__all__ = [
    name
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, RunStoreError)
]
