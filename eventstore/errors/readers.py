"""Those who read the log, or wait for it, cannot go on."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from eventstore.errors.base import RunStoreError, short

_MAX_NAMED = 20


class UnknownGroup(RunStoreError, LookupError):
    """No consumer group of this name; pass ``create=True`` to make it."""

    group: str

    def __init__(self, group: str, known: Sequence[str] = ()) -> None:
        listed = ", ".join(sorted(known)[:_MAX_NAMED]) or "none yet"
        more = ", …" if len(known) > _MAX_NAMED else ""
        close = get_close_matches(group, known, n=1)
        guess = f"did you mean {short(close[0])}? " if close else ""
        super().__init__(
            f"no consumer group {short(group)} (known: {listed}{more}); {guess}"
            "'runstore groups create' makes one, or a service with create=True",
            group=group,
            known=tuple(sorted(known)),
        )


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
