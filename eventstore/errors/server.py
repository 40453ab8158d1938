"""The server could not do it, or not as was asked."""

from __future__ import annotations

from typing import Any

from eventstore.errors.base import RunStoreError, short


class NotDurable(RunStoreError):
    """The append is written at ``positions``, but fewer copies than asked confirmed it."""

    def __init__(self, run_id: str, wanted: str, acknowledged: int, result: Any) -> None:
        super().__init__(
            f"the append to run {short(run_id)} is written, but {wanted} was asked and only "
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
            f"{why}: the append to run {short(run_id)} may stand or not; {how} the same events "
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
