"""A run's events up to a version or a time, page by page."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from eventstore import InvalidArgument, RecordedEvent
from eventstore.checks import check_count
from eventstore.operations import Operations
from eventstore.plan import Plan

At = int | datetime | None
"""A version, a time by which events occurred, or None for all of them."""


class Past:
    """Reads a run's events up to a version or a time.

    An event that says it occurred after the time holds back all that follow it, so that what is
    read is always what the run was at some version.
    """

    def __init__(self, operations: Operations, run_id: str, at: At, after: int = 0) -> None:
        self._at = check_at(at)
        self._run_id = run_id
        # Of version 0 there is nothing to read, but whether the run exists.
        limit = max(at - after, 1) if isinstance(at, int) else None
        self._reader = operations.reader(run_id, after, limit)
        self.done = False

    @property
    def end(self) -> int:
        """The run's last version; -1 before anything was read."""
        return self._reader.end

    def next_page(self) -> Plan[list[RecordedEvent]]:
        """Read the next page; sets ``done``.

        Raises ``RunNotFound``, ``InvalidArgument`` for a version that the run does not have, and
        what reading raises.
        """
        page = yield from self._reader.next_page()
        if isinstance(self._at, int) and self._at > self.end:
            raise InvalidArgument(
                f"run {self._run_id!r} has {self.end} versions, there is no version {self._at}",
                run_id=self._run_id,
                version=self._at,
            )
        fitting = list(takewhile(self._is_past, page))
        self.done = self._reader.done or len(fitting) < len(page)
        return fitting

    def _is_past(self, event: RecordedEvent) -> bool:
        if isinstance(self._at, datetime):
            return event.occurred_at <= self._at
        return self._at is None or event.version <= self._at


def check_at(at: At) -> At:
    """Give back a version, a time or None; raise ``InvalidArgument`` for anything else."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidArgument("a time needs its zone: use datetime.now(UTC), or add +00:00")
        return at
    if at is not None:
        check_count("version", at, least=0)
    return at
