"""A run is not as the caller believed."""

from __future__ import annotations

from eventstore.errors.base import RunStoreError, short


class WrongExpectedVersion(RunStoreError):
    """The run is at ``actual``, not at ``expected``. Load it, decide again, append again."""

    run_id: str
    expected: str | int
    actual: int

    def __init__(self, run_id: str, expected: str | int, actual: int) -> None:
        told = (
            f"run {short(run_id)} is there already, at version {actual}; choose another id, or "
            "append without expecting no run"
            if expected == "none"
            else f"run {short(run_id)} is at version {actual}, not at the expected {expected}; "
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
            f"idempotency key {short(idempotency_key)} of run {short(run_id)} was used at "
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
            f"run {short(run_id)} ended at version {version}; to run it again, fork it",
            run_id=run_id,
            version=version,
        )


class RunNotFound(RunStoreError, LookupError):
    """No run of this id was ever appended to in this namespace."""

    run_id: str

    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {short(run_id)} in this store", run_id=run_id)
