"""What was given cannot be taken."""

from __future__ import annotations

from typing import Any

from eventstore.errors.base import RunStoreError, short


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
            f"the state of run {short(run_id)} is too large: {size_bytes} bytes where "
            f"{limit_bytes} are taken, of which its key {short(key)} has {key_bytes}; store that "
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
        super().__init__(f"invalid run id {short(run_id)}: {reason}", run_id=run_id, reason=reason)
